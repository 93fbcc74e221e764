import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { ago, insertEvents } from "../sql/events.ts";
import { type Answer, type Api, startApi } from "./api.ts";

let db: TestDatabase;
let api: Api;

beforeAll(async () => {
  db = await testDatabase();
  const now = new Date();
  await insertEvents(
    db.sql,
    Array.from({ length: 60 }, (_, index) => ({ time: ago(now, index / 2), level: "error" as const, latency_ms: 1 })),
  );
  await db.sql`select analytics.evaluate_alert_rules(as_of => now())`;
  api = await startApi(db.url);
});
afterAll(async () => {
  await api.stop();
  await db.drop();
});

const RULE = `id: "r", name: "R", metric: "error_rate", operator: ">", threshold: 5, lookback: { minutes: 1 }, severity: INFO`;

/** Creates a rule with some columns other than usual. */
function create(columns: Record<string, string> = {}): Promise<Answer> {
  let rule = RULE;
  for (const [name, value] of Object.entries(columns))
    rule = rule.includes(`${name}: `)
      ? rule.replace(new RegExp(`${name}: ("[^"]*"|{[^}]*}|[^,]*)`), `${name}: ${value}`)
      : `${rule}, ${name}: ${value}`;
  return api.query(
    `mutation { createAlertRule(input: { alertRule: { ${rule} } }) { alertRule { id version enabled } } }`,
  );
}

test("a rule is created, changed and deleted, and the table has it", async () => {
  expect((await create({ id: '"mine"' })).data.createAlertRule.alertRule).toEqual({
    id: "mine",
    version: 1,
    enabled: true,
  });
  expect(
    await db.sql`select metric, severity, lookback::text from analytics.alert_rules where id = 'mine'`,
  ).toMatchObject([{ metric: "error_rate", severity: "info", lookback: "00:01:00" }]);

  const { data } = await api.query(
    `mutation { updateAlertRule(input: { id: "mine", patch: { threshold: 7.5, enabled: false } }) { alertRule { threshold version } } }`,
  );
  expect(data.updateAlertRule.alertRule).toEqual({ threshold: 7.5, version: 2 });

  expect(
    (await api.query(`mutation { deleteAlertRule(input: { id: "mine" }) { alertRule { id } } }`)).errors,
  ).toBeUndefined();
  expect(await db.sql`select from analytics.alert_rules where id = 'mine'`).toHaveLength(0);
});

describe("a rule that is wrong is refused with what is wrong", () => {
  test.each([
    [{ id: '"high_error_rate"' }, "ALREADY_EXISTS", "Key (id)=(high_error_rate) already exists."],
    [{ id: '"Not a slug"' }, "BAD_REQUEST", "alert_rules must hold: id is a slug"],
    [{ metric: '"loudness"' }, "BAD_REQUEST", "unknown metric loudness"],
    [{ operator: '"~"' }, "BAD_REQUEST", "alert_rules must hold: operator is one of the six"],
    [{ pendingPeriod: "{ minutes: -1 }" }, "BAD_REQUEST", "alert_rules must hold: pending period is not negative"],
    [{ lookback: "{ days: 30 }" }, "BAD_REQUEST", "longer than raw events are kept"],
  ])("%o", async (columns, code, message) => {
    const { data, errors } = await create(columns);
    expect(data.createAlertRule).toBeNull();
    expect(errors).toMatchObject([{ extensions: { code } }]);
    expect(errors![0]!.message).toContain(message);
    expect(await db.sql`select from analytics.alert_rules`).toHaveLength(6);
  });
});

test("columns that the database fills cannot be written", async () => {
  const { status, errors } = await create({ version: "7" });
  expect(status).toBe(400);
  expect(errors![0]!.message).toContain('Field "version" is not defined');
});

test.each([
  `updateAlertRule(input: { id: "nope", patch: { enabled: false } }) { alertRule { id } }`,
  `deleteAlertRule(input: { id: "nope" }) { alertRule { id } }`,
  `updateSilence(input: { id: "4711", patch: { reason: "x" } }) { silence { id } }`,
  `deleteSilence(input: { id: "4711" }) { silence { id } }`,
])("a row that is not there is an error: %s", async (mutation) => {
  const { errors } = await api.query(`mutation { ${mutation} }`);
  expect(errors).toMatchObject([{ extensions: { code: "NOT_FOUND" } }]);
});

test("an alert is acknowledged once, with the comment; one that is not there is an error", async () => {
  const { data: found } = await api.query("{ activeAlerts(first: 1) { nodes { id } } }");
  const [{ id }] = found.activeAlerts.nodes;
  const acknowledge = (alertId: string) =>
    api.query(
      `mutation ($alertId: BigInt!) {
        acknowledgeAlert(input: { alertId: $alertId, comment: "on it" }) { alert { id status comment } }
      }`,
      { alertId },
    );

  expect((await acknowledge(id)).data.acknowledgeAlert.alert).toEqual({ id, status: "ACKNOWLEDGED", comment: "on it" });
  expect((await api.query(`{ alert(id: "${id}") { status } }`)).data.alert).toEqual({ status: "ACKNOWLEDGED" });
  expect(await acknowledge("4711")).toMatchObject({
    errors: [{ message: expect.stringContaining("there is no alert 4711"), extensions: { code: "BAD_REQUEST" } }],
  });
});

test("silences are made, and refused when they end before they start", async () => {
  const silence = (endsAt: string) =>
    api.query(
      `mutation ($endsAt: Datetime!) {
        createSilence(input: { silence: { service: "web", reason: "test", endsAt: $endsAt } }) { silence { id service } }
      }`,
      { endsAt },
    );
  expect((await silence("2999-01-01T00:00:00Z")).data.createSilence.silence.service).toBe("web");
  expect(await silence("1999-01-01T00:00:00Z")).toMatchObject({
    errors: [{ message: "silences must hold: silence ends after it starts", extensions: { code: "BAD_REQUEST" } }],
  });
});
