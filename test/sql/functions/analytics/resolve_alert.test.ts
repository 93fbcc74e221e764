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
const resolve = async (id: string, comment?: string) =>
  (await db.sql`select * from analytics.resolve_alert(alert_id => ${id}, comment => ${comment ?? null})`)[0];

test("an alert that fires ends, with author, comment, history and message", async () => {
  const { sql } = db;
  await evaluate(sql, second(1), { web: 1 });
  const [{ login }] = (await sql`select session_user as login`) as [{ login: string }];
  expect(await resolve(await alertId(), "switched off")).toMatchObject({
    status: "resolved",
    reason: "resolved_by_hand",
    resolved_by: login,
    comment: "switched off",
    resolved_at: expect.any(Date),
  });
  expect(
    await sql`select previous_status, status, author, comment from analytics.alert_history where reason = 'resolved_by_hand'`,
  ).toEqual([{ previous_status: "active", status: "resolved", author: login, comment: "switched off" }]);
  expect(await messages(sql)).toEqual(["triggered rule:web", "resolved rule:web"]);
});

test("while the rule still breaches, the next evaluation begins a new alert, which is announced", async () => {
  const { sql } = db;
  await evaluate(sql, second(1), { web: 1 });
  await resolve(await alertId());
  await evaluate(sql, second(2), { web: 1 });
  expect(await sql`select status, started_at, resolved_by from analytics.alerts order by id`).toMatchObject([
    { status: "resolved", started_at: second(1), resolved_by: expect.any(String) },
    { status: "active", started_at: second(2), resolved_by: null },
  ]);
  expect(await messages(sql)).toEqual(["triggered rule:web", "resolved rule:web", "triggered rule:web"]);
  const [{ ids }] = (await sql`
    select count(distinct message::jsonb ->> 'event_id')::int as ids from internal.alert_messages`) as [
    { ids: number },
  ];
  expect(ids).toBe(3);
});

test("an alert that is frozen for lack of data ends for good", async () => {
  const { sql } = db;
  await evaluate(sql, second(1), { web: 1 });
  await evaluate(sql, second(2));
  await resolve(await alertId());
  await evaluate(sql, second(3));
  expect(await history(sql)).toEqual([
    "web: none > active (breach)",
    "web: active > active (no_data)",
    "web: active > resolved (resolved_by_hand)",
  ]);
});

test("an acknowledged one ends as well; the history keeps what was said each time", async () => {
  const { sql } = db;
  await evaluate(sql, second(1), { web: 1 });
  const id = await alertId();
  await sql`select analytics.acknowledge_alert(${id}, 'looking')`;
  expect(await resolve(id)).toMatchObject({ status: "resolved", comment: "looking" });
  expect(await sql`select reason, comment from analytics.alert_history order by id`).toEqual([
    { reason: "breach", comment: null },
    { reason: "acknowledged", comment: "looking" },
    { reason: "resolved_by_hand", comment: null },
  ]);
  expect(await messages(sql)).toEqual(["triggered rule:web", "acknowledged rule:web", "resolved rule:web"]);
});

test("one that was never announced ends without a message", async () => {
  const { sql } = db;
  await sql`insert into analytics.silences (starts_at, ends_at, reason) values (${second(0)}, ${second(60)}, 'works')`;
  await evaluate(sql, second(1), { web: 1 });
  await resolve(await alertId());
  expect(await messages(sql)).toEqual([]);
});

test("the subject of the token is the author where there is one", async () => {
  await evaluate(db.sql, second(1), { web: 1 });
  const id = await alertId();
  await db.sql.begin(async (sql) => {
    await sql`select set_config('jwt.claims.sub', 'ada', true)`;
    await sql`select analytics.resolve_alert(${id})`;
  });
  expect(await db.sql`select resolved_by from analytics.alerts`).toEqual([{ resolved_by: "ada" }]);
});

test("doing it again changes nothing; what does not fire cannot be resolved, and the error says what it is", async () => {
  const { sql } = db;
  await evaluate(sql, second(1), { web: 1 });
  const id = await alertId();
  const first = await resolve(id, "first");
  expect(await resolve(id, "second")).toEqual(first);
  expect(await messages(sql)).toHaveLength(2);

  await expect(resolve("4711")).rejects.toThrow("there is no alert 4711");
  await sql`update analytics.alert_rules set pending_period = '2 s'`;
  await evaluate(sql, second(2), { web: 1 });
  const pending = await alertId();
  await expect(resolve(pending)).rejects.toMatchObject({ message: `alert ${pending} is pending`, code: "22023" });
});
