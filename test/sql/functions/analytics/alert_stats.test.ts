import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../setup/services.ts";
import { ago } from "../../events.ts";
import { evaluate, insertRules, installSignal } from "../../signal.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
  await installSignal(db.sql);
});
afterAll(() => db.drop());

test("counts by severity and status, and the mean times, over the period", async () => {
  const { sql } = db;
  const now = new Date();
  await insertRules(
    sql,
    { id: "warn" },
    { id: "crit", severity: "critical", service: "c" },
    { id: "slow", severity: "critical", pending_period: "1 day", service: "d" },
  );
  // a: over for 30 h; b: over after 10 min, 1 h ago; c: since 2 days, acknowledged; d: pending
  await evaluate(sql, ago(now, 50 * 3600), { a: 1, c: 1 });
  await evaluate(sql, ago(now, 30 * 3600), { a: 0, c: 1 });
  await evaluate(sql, ago(now, 4200), { b: 1, c: 1 });
  await evaluate(sql, ago(now, 3600), { b: 0, c: 1, d: 1 });
  const [{ id }] = (await sql`select id from analytics.alerts where service = 'c' and rule_id = 'crit'`) as [
    { id: string },
  ];
  await sql`select analytics.acknowledge_alert(${id})`;
  await sql`update analytics.alerts set acknowledged_at = triggered_at + interval '90 s' where id = ${id}`;

  const stats = (period: string) => sql`
    select severity, total::int, pending::int, active::int, acknowledged::int, resolved::int, triggered::int,
      extract(epoch from mean_time_to_acknowledge)::int as mtta, extract(epoch from mean_time_to_resolve)::int as mttr
    from analytics.alert_stats(${period}::interval)`;
  expect(await stats("24 hours")).toEqual([
    {
      severity: "critical",
      total: 2,
      pending: 1,
      active: 0,
      acknowledged: 1,
      resolved: 0,
      triggered: 0,
      mtta: 90,
      mttr: null,
    },
    {
      severity: "warning",
      total: 3,
      pending: 0,
      active: 2,
      acknowledged: 0,
      resolved: 1,
      triggered: 2,
      mtta: null,
      mttr: 600,
    },
    {
      severity: "info",
      total: 0,
      pending: 0,
      active: 0,
      acknowledged: 0,
      resolved: 0,
      triggered: 0,
      mtta: null,
      mttr: null,
    },
  ]);
  expect((await stats("3 days"))[1]).toMatchObject({
    total: 4,
    resolved: 2,
    triggered: 4,
    mttr: (600 + 20 * 3600) / 2,
  });
  expect(await sql`select severity from analytics.alert_stats()`).toHaveLength(3);
});
