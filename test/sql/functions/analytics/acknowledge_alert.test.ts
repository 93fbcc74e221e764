import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../setup/services.ts";
import { evaluate, history, insertRules, installSignal, messages, resetAlerts } from "../../signal.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
  await installSignal(db.sql);
});
afterAll(() => db.drop());
beforeEach(async () => {
  await resetAlerts(db.sql);
  await insertRules(db.sql, { service: "web", keep_firing_for: "5 s" });
});

const second = (n: number) => new Date(Date.parse("2026-01-01T00:00:00Z") + n * 1000);
const alertId = async () => (await db.sql`select id from analytics.alerts order by id desc limit 1`)[0]?.id as string;
const acknowledge = async (id: string, comment?: string) =>
  (await db.sql`select * from analytics.acknowledge_alert(alert_id => ${id}, comment => ${comment ?? null})`)[0];

test("an active alert becomes acknowledged, with author, comment, history and message", async () => {
  const { sql } = db;
  await evaluate(sql, second(1), { web: 1 });
  const [{ login }] = (await sql`select session_user as login`) as [{ login: string }];
  expect(await acknowledge(await alertId(), "on it")).toMatchObject({
    status: "acknowledged",
    acknowledged_by: login,
    comment: "on it",
    acknowledged_at: expect.any(Date),
  });
  expect(
    await sql`select previous_status, status, author, comment from analytics.alert_history where reason = 'acknowledged'`,
  ).toEqual([{ previous_status: "active", status: "acknowledged", author: login, comment: "on it" }]);
  expect(await messages(sql)).toEqual(["triggered rule:web", "acknowledged rule:web"]);
});

test("the subject of the token is the author where there is one", async () => {
  await evaluate(db.sql, second(1), { web: 1 });
  const id = await alertId();
  await db.sql.begin(async (sql) => {
    await sql`select set_config('jwt.claims.sub', 'ada', true)`;
    await sql`select analytics.acknowledge_alert(${id})`;
  });
  expect(await db.sql`select acknowledged_by from analytics.alerts`).toEqual([{ acknowledged_by: "ada" }]);
});

test("it stays open while it breaches, through missing data and the time it keeps firing, and is announced once", async () => {
  const { sql } = db;
  await evaluate(sql, second(1), { web: 1 });
  await acknowledge(await alertId());
  await evaluate(sql, second(2), { web: 1 });
  await evaluate(sql, second(3));
  await evaluate(sql, second(4), { web: 1 });
  await evaluate(sql, second(5), { web: 0 });
  await evaluate(sql, second(6), { web: 1 });
  await evaluate(sql, second(7), { web: 0 });
  await evaluate(sql, second(12), { web: 0 });
  expect(await history(sql)).toEqual([
    "web: none > active (breach)",
    "web: active > acknowledged (acknowledged)",
    "web: acknowledged > acknowledged (no_data)",
    "web: acknowledged > acknowledged (breach)",
    "web: acknowledged > acknowledged (keep_firing)",
    "web: acknowledged > acknowledged (breach)",
    "web: acknowledged > acknowledged (keep_firing)",
    "web: acknowledged > resolved (clean)",
  ]);
  expect(await messages(sql)).toEqual(["triggered rule:web", "acknowledged rule:web", "resolved rule:web"]);
});

test("doing it again changes nothing", async () => {
  await evaluate(db.sql, second(1), { web: 1 });
  const id = await alertId();
  await acknowledge(id, "first");
  expect(await acknowledge(id, "second")).toMatchObject({ status: "acknowledged", comment: "first" });
  expect(await messages(db.sql)).toHaveLength(2);
});

test("what is not active cannot be acknowledged, and the error says what it is", async () => {
  const { sql } = db;
  await expect(acknowledge("4711")).rejects.toThrow("there is no alert 4711");
  await sql`update analytics.alert_rules set pending_period = '2 s'`;
  await evaluate(sql, second(1), { web: 1 });
  const id = await alertId();
  await expect(acknowledge(id)).rejects.toMatchObject({ message: `alert ${id} is pending`, code: "22023" });
  await evaluate(sql, second(3), { web: 1 });
  await evaluate(sql, second(4), { web: 0 });
  await evaluate(sql, second(9), { web: 0 });
  await expect(acknowledge(id)).rejects.toThrow(`alert ${id} is resolved`);
});
