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

const RULE = `id: "r", name: "R", metric: "error_rate", operator: GREATER_THAN, threshold: 5, lookback: { minutes: 1 }, severity: INFO`;

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

test("an alert is resolved by hand, and its history tells all of it", async () => {
  const [{ id }] = (await db.sql`
    select id from analytics.alerts where status = 'active' order by id limit 1`) as [{ id: string }];
  const { data } = await api.query(
    `mutation ($alertId: BigInt!) {
      resolveAlert(input: { alertId: $alertId, comment: "gone" }) {
        alert { status reason comment history { nodes { previousStatus status reason value comment alert { id } } } }
      }
    }`,
    { alertId: id },
  );
  expect(data.resolveAlert.alert).toEqual({
    status: "RESOLVED",
    reason: "RESOLVED_BY_HAND",
    comment: "gone",
    history: {
      nodes: [
        {
          previousStatus: "ACTIVE",
          status: "RESOLVED",
          reason: "RESOLVED_BY_HAND",
          value: expect.any(Number),
          comment: "gone",
          alert: { id },
        },
        {
          previousStatus: null,
          status: "ACTIVE",
          reason: "BREACH",
          value: expect.any(Number),
          comment: null,
          alert: { id },
        },
      ],
    },
  });
  expect(await api.query(`mutation { resolveAlert(input: { alertId: "4711" }) { alert { id } } }`)).toMatchObject({
    errors: [{ message: expect.stringContaining("there is no alert 4711"), extensions: { code: "BAD_REQUEST" } }],
  });
});

test("a function in alert_metrics is a metric at once, in a rule and in a preview", async () => {
  await db.sql.unsafe(`
    create function alert_metrics.errors_at(lookback interval, as_of timestamptz)
    returns table (service text, value double precision)
    language sql stable
    begin atomic
      select events.service, count(*)::double precision
      from analytics.events
      where events.time >= as_of - lookback and events.time < as_of and events.level >= 'error'
      group by events.service;
    end`);
  expect((await create({ id: '"errors"', metric: '"errors_at"' })).data.createAlertRule.alertRule.id).toBe("errors");
  const { data } = await api.query(
    `query ($since: Datetime!) {
      previewAlertRule(
        metric: "errors_at", operator: GREATER_THAN, threshold: 5, lookback: { minutes: 1 }, since: $since, step: { seconds: 2 }
      ) { nodes { service status startedAt triggeredAt value worstValue } }
    }`,
    { since: ago(new Date(), 120).toISOString() },
  );
  expect(data.previewAlertRule.nodes).toMatchObject([{ service: "web", triggeredAt: expect.any(String) }]);
  expect(data.previewAlertRule.nodes[0].worstValue).toBeGreaterThan(data.previewAlertRule.nodes[0].value);
  await db.sql`delete from analytics.alert_rules where id = 'errors'`;
});

test("a stored rule is previewed by its id, and with another threshold", async () => {
  await create({ id: '"busy"', metric: '"total_requests"', threshold: "1000000" });
  const preview = async (more: string) =>
    (
      await api.query(
        `query ($since: Datetime!) {
          previewAlertRule(ruleId: "busy", since: $since, step: { seconds: 2 } ${more}) { nodes { service triggeredAt resolution { seconds } } }
        }`,
        { since: ago(new Date(), 120).toISOString() },
      )
    ).data.previewAlertRule.nodes;
  expect(await preview("")).toEqual([]);
  expect(await preview(", threshold: 0")).toMatchObject([
    { service: "web", triggeredAt: expect.any(String), resolution: { seconds: 0 } },
  ]);
  await db.sql`delete from analytics.alert_rules where id = 'busy'`;
});

test("a preview of a rule that makes no sense says what is wrong", async () => {
  const preview = (more: string) => api.query(`{ previewAlertRule(${more}, threshold: 5) { nodes { service } } }`);
  expect(await preview(`metric: "loudness", operator: GREATER_THAN, lookback: { minutes: 1 }`)).toMatchObject({
    errors: [{ message: expect.stringContaining("unknown metric loudness"), extensions: { code: "BAD_REQUEST" } }],
  });
  expect(await preview(`metric: "error_rate", operator: LIKE, lookback: { minutes: 1 }`)).toMatchObject({
    status: 400,
    errors: [{ message: expect.stringContaining('Value "LIKE" does not exist in "AlertOperator" enum') }],
  });
  expect(
    await preview(`metric: "error_rate", operator: GREATER_THAN, lookback: { minutes: 1 }, step: { seconds: 1 }`),
  ).toMatchObject({
    errors: [{ message: expect.stringContaining("Make the step longer"), extensions: { code: "BAD_REQUEST" } }],
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
  expect(
    await api.query(
      `mutation { createSilence(input: { silence: { ruleId: "nope", reason: "x", endsAt: "2999-01-01T00:00:00Z" } }) { silence { id } } }`,
    ),
  ).toMatchObject({
    errors: [
      {
        message: expect.stringContaining("(rule_id)=(nope) is not present"),
        extensions: { code: "IN_USE_OR_MISSING" },
      },
    ],
  });
});
