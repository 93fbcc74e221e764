import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../setup/services.ts";
import { evaluate, insertRules, installSignal } from "../signal.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
  await installSignal(db.sql);
});
afterAll(() => db.drop());

const second = (n: number) => new Date(Date.parse("2026-01-01T00:00:00Z") + n * 1000);

test("shows what fires, acknowledged or not, most severe and oldest first, in a sentence", async () => {
  const { sql } = db;
  await insertRules(
    sql,
    { id: "warn", name: "Warn" },
    { id: "crit", name: "Crit", severity: "critical", threshold: 1.5, lookback: "5 min" },
    { id: "pending", pending_period: "1 hour" },
  );
  await sql`insert into analytics.silences (service, starts_at, ends_at, reason) values ('mute', ${second(0)}, ${second(9)}, 'works')`;
  await evaluate(sql, second(1), { a: 1, over: 2 });
  await evaluate(sql, second(2), { a: 1, b: 2.0004, mute: 1, over: 0 });
  const [{ id }] = (await sql`select id from analytics.alerts where rule_id = 'warn' and service = 'a'`) as [
    { id: string },
  ];
  await sql`select analytics.acknowledge_alert(${id}, 'looking')`;

  expect(
    await sql`select rule_id, service, status, silenced, comment, message, firing_for > '0' as fires from analytics.active_alerts`,
  ).toEqual([
    {
      rule_id: "crit",
      service: "b",
      status: "active",
      silenced: false,
      comment: null,
      fires: true,
      message: "Crit on b: signal over 300 s is 2, alert when > 1.5",
    },
    {
      rule_id: "warn",
      service: "a",
      status: "acknowledged",
      silenced: false,
      comment: "looking",
      fires: true,
      message: "Warn on a: signal over 60 s is 1, alert when > 0",
    },
    {
      rule_id: "warn",
      service: "b",
      status: "active",
      silenced: false,
      comment: null,
      fires: true,
      message: "Warn on b: signal over 60 s is 2, alert when > 0",
    },
    {
      rule_id: "warn",
      service: "mute",
      status: "active",
      silenced: true,
      comment: null,
      fires: true,
      message: "Warn on mute: signal over 60 s is 1, alert when > 0",
    },
  ]);
});
