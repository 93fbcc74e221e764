// The alert state machine against Prometheus's, on random sequences of breaching, clean and missing, for many pairs of
// pending_period and keep_firing_for at once, at regular and irregular evaluation intervals.

import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../setup/services.ts";
import { prometheusRule, type Transition } from "../../prometheus.ts";
import { insertRules, installSignal, resetAlerts } from "../../signal.ts";

const START = Date.parse("2026-01-01T00:00:00Z");
const SECONDS = { pending: [0, 0.25, 1, 2, 5, 13, 60], keep: [0, 0.25, 1, 3, 10, 30, 120] };
const RULES = SECONDS.pending.flatMap((pending) =>
  SECONDS.keep.map((keep) => ({ id: `p${pending * 1000}-k${keep * 1000}`, pending, keep })),
);

/** Runs of one state, so that long ones occur: breaching, clean, or no row at all, which Prometheus takes as clean. */
const sequence = fc
  .array(fc.tuple(fc.constantFrom(1, 0, null), fc.integer({ min: 1, max: 12 })), { minLength: 1, maxLength: 20 })
  .map((runs) => runs.flatMap(([value, length]) => Array<number | null>(length).fill(value)));

/** Milliseconds between evaluations: a second, other rhythms, and none. */
const gaps = fc.oneof(
  fc.constantFrom(250, 1_000, 5_000).map((gap) => Array<number>(60).fill(gap)),
  fc.array(fc.oneof(fc.integer({ min: 1, max: 20_000 }), fc.constantFrom(1_000, 2_000)), {
    minLength: 60,
    maxLength: 60,
  }),
);

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
  await installSignal(db.sql);
});
afterAll(() => db.drop());

const STATES = { none: null, pending: "pending", firing: "active" } as const;

function expected(times: number[], services: (number | null)[][]) {
  const transitions: (Transition & { rule: string })[] = [];
  for (const { id, pending, keep } of RULES) {
    const evaluate = prometheusRule(pending * 1000, keep * 1000);
    times.forEach((at, step) => {
      const result = new Set(services.flatMap((values, service) => (values[step] === 1 ? [`service-${service}`] : [])));
      transitions.push(...evaluate(at, result).map((transition) => ({ rule: id, ...transition })));
    });
  }
  return transitions
    .map(
      ({ rule, at, labels, from, to }) =>
        `${rule} ${labels} ${at - START} ${STATES[from]} > ${STATES[to] ?? "resolved"}`,
    )
    .sort();
}

test("states and times are those of Prometheus", { timeout: 300_000 }, async () => {
  const { sql } = db;
  await fc.assert(
    fc.asyncProperty(gaps, fc.array(sequence, { minLength: 8, maxLength: 12 }), async (between, services) => {
      let at = START;
      const times = between.map((gap) => {
        at += gap;
        return at;
      });
      await resetAlerts(sql);
      await insertRules(
        sql,
        ...RULES.map(({ id, pending, keep }) => ({
          id,
          pending_period: `${pending} s`,
          keep_firing_for: `${keep} s`,
          on_no_data: "ok" as const,
        })),
      );
      const signals = services.flatMap((values, service) =>
        times.flatMap((ms, step) =>
          values[step] == null
            ? []
            : [{ at: new Date(ms).toISOString(), service: `service-${service}`, value: values[step] }],
        ),
      );
      await sql`insert into public.signals select * from jsonb_populate_recordset(null::public.signals, ${sql.json(signals)})`;

      await sql`
        select analytics.evaluate_alert_rules(as_of => moment)
        from unnest(${times.map((ms) => new Date(ms).toISOString())}::timestamptz[]) with ordinality as evaluations (moment, step)
        order by step`;

      const rows = await sql`
        select rule_id, service, as_of, previous_status, status
        from analytics.alert_history
        where status is distinct from previous_status`;
      const actual = rows.map(
        (row) => `${row.rule_id} ${row.service} ${+row.as_of - START} ${row.previous_status} > ${row.status}`,
      );
      expect(actual.sort()).toEqual(expected(times, services));

      // the times on the alerts are those of their transitions, and who was told of the beginning was told of the end
      const [{ wrong }] = (await sql`
        with told as materialized (
          select (message::jsonb ->> 'alert_id')::bigint as alert_id, array_agg(message::jsonb ->> 'event' order by id) as events
          from internal.alert_messages
          group by 1
        )
        select count(*) as wrong
        from analytics.alerts
        left join told on told.alert_id = alerts.id
        where triggered_at is distinct from (
            select min(as_of) from analytics.alert_history where alert_id = alerts.id and status = 'active')
          or started_at <> (select min(as_of) from analytics.alert_history where alert_id = alerts.id)
          or resolved_at is distinct from (
            select max(as_of) from analytics.alert_history where alert_id = alerts.id and status = 'resolved')
          or coalesce(told.events, '{}') <> case status
            when 'pending' then '{}'::text[]
            when 'active' then '{triggered}'
            else '{triggered,resolved}'
          end`) as [{ wrong: string }];
      expect(Number(wrong)).toBe(0);
      const [{ repeated }] = (await sql`
        select count(*) - count(distinct message::jsonb ->> 'event_id') as repeated from internal.alert_messages`) as [
        { repeated: string },
      ];
      expect(Number(repeated)).toBe(0);
    }),
    { numRuns: 8, verbose: true, endOnFailure: true },
  );
});
