// Silences mute messages and lose none: whoever was told that an alert began is told that it ended, and nobody else is.

import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { evaluate, history, insertRules, installSignal, messages, resetAlerts } from "./signal.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
  await installSignal(db.sql);
});
afterAll(() => db.drop());
beforeEach(async () => {
  await resetAlerts(db.sql);
  await insertRules(db.sql, {});
});

const second = (n: number) => new Date(Date.parse("2026-01-01T00:00:00Z") + n * 1000);
const silence = (values: Record<string, unknown>) =>
  db.sql`insert into analytics.silences ${db.sql({ starts_at: second(0), ends_at: second(10), reason: "works", ...values })}`;

/** Evaluates at each second from `from`, with one value a second. */
async function run(values: (number | null)[], from = 1): Promise<void> {
  for (const [index, value] of values.entries())
    await evaluate(db.sql, second(from + index), value === null ? {} : { web: value });
}

test("one that starts while the alert fires: the end is announced, as the beginning was", async () => {
  await silence({ starts_at: second(2) });
  await run([1, 1, 1, 0]);
  expect(await messages(db.sql)).toEqual(["triggered rule:web", "resolved rule:web"]);
});

test("one that ends while the alert fires: the beginning is announced then, once", async () => {
  await silence({ ends_at: second(3) });
  await run([1, 1, 1, 1, 0]);
  expect(await messages(db.sql)).toEqual(["triggered rule:web", "resolved rule:web"]);
  expect(await db.sql`select triggered_at, notified_at from analytics.alerts`).toEqual([
    { triggered_at: second(1), notified_at: second(3) },
  ]);
});

test("one that ends after the alert, or in the evaluation that ends it: nothing is announced", async () => {
  await silence({ ends_at: second(3) });
  await run([1, 0, 0, 0]);
  await resetAlerts(db.sql);
  await insertRules(db.sql, {});
  await silence({ ends_at: second(3) });
  await run([1, 1, 0]);
  expect(await messages(db.sql)).toEqual([]);
});

test("one that ends while there is no data: the alert still stands, and is announced", async () => {
  await silence({ ends_at: second(3) });
  await run([1, null, null, null, 0]);
  expect(await history(db.sql)).toEqual([
    "web: none > active (breach)",
    "web: active > active (no_data)",
    "web: active > active (silence_ended)",
    "web: active > active (no_data)",
    "web: active > resolved (clean)",
  ]);
  expect(await messages(db.sql)).toEqual(["triggered rule:web", "resolved rule:web"]);
});

test("two that follow each other are one", async () => {
  await silence({ ends_at: second(3) });
  await silence({ starts_at: second(2), ends_at: second(5), service: "web" });
  await run([1, 1, 1, 1, 1, 0]);
  expect(await db.sql`select notified_at from analytics.alerts`).toEqual([{ notified_at: second(5) }]);
  expect(await messages(db.sql)).toEqual(["triggered rule:web", "resolved rule:web"]);
});

test("one that is taken away early, or shortened, is over with the next evaluation", async () => {
  await silence({});
  await run([1, 1]);
  await db.sql`delete from analytics.silences`;
  await run([1], 3);
  expect(await messages(db.sql)).toEqual(["triggered rule:web"]);
});

test("an alert that somebody acknowledged meanwhile needs no announcement, neither of its beginning nor of its end", async () => {
  await silence({ ends_at: second(3) });
  await run([1, 1]);
  await db.sql`select analytics.acknowledge_alert(id) from analytics.alerts`;
  await run([1, 1, 0], 3);
  expect(await messages(db.sql)).toEqual([]);
});

test("a silence that names a rule that is not there is refused, and one goes with its rule", async () => {
  const { sql } = db;
  await expect(silence({ rule_id: "rul" })).rejects.toMatchObject({
    code: "23503",
    detail: 'Key (rule_id)=(rul) is not present in table "alert_rules".',
  });
  await silence({ rule_id: "rule" });
  await sql`update analytics.alert_rules set id = 'renamed' where id = 'rule'`;
  expect(await sql`select rule_id from analytics.silences`).toEqual([{ rule_id: "renamed" }]);
  await sql`delete from analytics.alert_rules`;
  expect(await sql`select from analytics.silences`).toHaveLength(0);
});

test("whatever happens, a resolved message comes if and only if its triggered one came", {
  timeout: 120_000,
}, async () => {
  const { sql } = db;
  const happening = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom("breach", "clean", "no data") },
    {
      weight: 2,
      arbitrary: fc.record({
        rule: fc.boolean(),
        severity: fc.boolean(),
        delay: fc.nat(3),
        length: fc.integer({ min: 1, max: 6 }),
      }),
    },
    { weight: 1, arbitrary: fc.constantFrom("unsilence", "acknowledge", "resolve", "edit") },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { minLength: 10, maxLength: 40 }), async (happenings) => {
      await resetAlerts(sql);
      await insertRules(sql, { pending_period: "1 s", keep_firing_for: "1 s" }, { id: "other", severity: "critical" });
      let now = 0;
      for (const what of happenings) {
        if (typeof what === "object")
          await silence({
            rule_id: what.rule ? "rule" : null,
            severity: what.severity ? "critical" : null,
            starts_at: second(now + what.delay),
            ends_at: second(now + what.delay + what.length),
          });
        else if (what === "unsilence") await sql`delete from analytics.silences`;
        else if (what === "acknowledge")
          await sql`select analytics.acknowledge_alert(id) from analytics.alerts where status = 'active'`;
        else if (what === "resolve")
          await sql`select analytics.resolve_alert(id) from analytics.alerts where status in ('active', 'acknowledged')`;
        else if (what === "edit")
          await sql`update analytics.alert_rules set threshold = -threshold - 0.1 where id = 'rule'`;
        else await evaluate(sql, second(++now), what === "no data" ? {} : { web: what === "breach" ? 1 : -1 });
      }
      const alerts = await sql`
        select status, notified_at is not null as notified, array(
          select message::jsonb ->> 'event' from internal.alert_messages
          where (message::jsonb ->> 'alert_id')::bigint = alerts.id order by id
        ) as events
        from analytics.alerts`;
      for (const { status, notified, events } of alerts) {
        expect(events.filter((event: string) => event !== "acknowledged")).toEqual(
          notified ? (status === "resolved" ? ["triggered", "resolved"] : ["triggered"]) : [],
        );
        if (!notified) expect(events).toEqual([]);
      }
      // and what was dropped, which is what never fired, said nothing
      const [{ orphans }] = (await sql`
        select count(*)::int as orphans from internal.alert_messages
        where (message::jsonb ->> 'alert_id')::bigint not in (select id from analytics.alerts)`) as [
        { orphans: number },
      ];
      expect(orphans).toBe(0);
    }),
    { numRuns: 20, endOnFailure: true },
  );
});
