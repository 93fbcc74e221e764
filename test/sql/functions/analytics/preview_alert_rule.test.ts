// The preview against the live engine: the same rules, events and moments, and the same transitions, times, reasons and values.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../setup/services.ts";
import { insertEvents, type TestEvent } from "../../events.ts";
import { insertRules, type Rule } from "../../signal.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
  await db.sql`delete from analytics.alert_rules`;
});
afterAll(() => db.drop());

const MINUTE = 60_000;
/** A full minute some hours ago, since steps are counted from one. */
const START = Math.floor(Date.now() / MINUTE) * MINUTE - 180 * MINUTE;

/** What a service does for a while. */
const PHASES = {
  good: { perSecond: 1, failing: 0.02, latency: 100 },
  failing: { perSecond: 1, failing: 0.4, latency: 120 },
  slow: { perSecond: 0.5, failing: 0.05, latency: 900 },
  sparse: { perSecond: 0.05, failing: 0.5, latency: 300 },
  silent: { perSecond: 0, failing: 0, latency: 0 },
};
const phases = fc.array(
  fc.tuple(fc.constantFrom(...(Object.keys(PHASES) as (keyof typeof PHASES)[])), fc.integer({ min: 20, max: 200 })),
  { minLength: 12, maxLength: 12 },
);
/** Random numbers in [0, 1) from a seed (mulberry32), so that a failure can be run again. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const RULES: Rule[] = [
  { metric: "error_rate", threshold: 20, lookback: "60 s" },
  { metric: "error_rate", threshold: 20, lookback: "30 s", pending_period: "45 s", keep_firing_for: "70 s" },
  { metric: "error_rate", threshold: 10, lookback: "45 s", on_no_data: "ok", keep_firing_for: "30 s" },
  {
    metric: "error_rate",
    threshold: 10,
    lookback: "60 s",
    on_no_data: "alert",
    min_requests: 30,
    pending_period: "20 s",
  },
  { metric: "error_rate", threshold: 10, lookback: "60 s", service: "shop", min_requests: 10 },
  { metric: "error_rate", threshold: 10, lookback: "60 s", service: "never seen", on_no_data: "alert" },
  { metric: "error_count", threshold: 10, lookback: "100 s" },
  { metric: "total_requests", operator: "<", threshold: 10, lookback: "60 s", pending_period: "30 s" },
  { metric: "total_requests", operator: "==", threshold: 0, lookback: "20 s", service: "web" },
  { metric: "throughput", operator: "<=", threshold: 0.5, lookback: "2 min" },
  { metric: "latency_p50", operator: "<", threshold: 110, lookback: "60 s", keep_firing_for: "1 min" },
  { metric: "latency_p95", threshold: 300, lookback: "60 s" },
  { metric: "latency_p99", operator: ">=", threshold: 900, lookback: "33 s", pending_period: "30 s" },
  { metric: "latency_p99", operator: "!=", threshold: 500, lookback: "5 min" },
  { metric: "latency_mean", threshold: 300, lookback: "60 s" },
  { metric: "latency_max", threshold: 1500, lookback: "60 s", on_no_data: "ok" },
  { metric: "avg_risk_score", operator: ">", threshold: 0.52, lookback: "60 s" },
  { metric: "high_risk_count", threshold: 15, lookback: "60 s" },
  { metric: "unique_users", operator: "<", threshold: 20, lookback: "60 s" },
];
const CALL = `
  rules.metric, rules.operator, rules.threshold, rules.lookback, rules.pending_period, rules.keep_firing_for,
  rules.min_requests, rules.on_no_data, rules.service`;

test.each([20, 7, 60])(
  "with a step of %i s it says what the live evaluation did",
  { timeout: 240_000 },
  async (step) => {
    const { sql } = db;
    const since = START + { 20: 0, 7: 45, 60: 90 }[step]! * MINUTE;
    const until = since + 14 * MINUTE;
    await fc.assert(
      fc.asyncProperty(phases, phases, fc.integer(), async (web, shop, seed) => {
        const next = generator(seed);
        const events = [
          { service: "web", phases: web, from: since - 5 * MINUTE },
          { service: "shop", phases: shop, from: since + 2 * MINUTE + 1234 },
        ].flatMap(({ service, phases, from }) => {
          const made: TestEvent[] = [];
          let at = from;
          for (const [name, seconds] of phases) {
            const { perSecond, failing, latency } = PHASES[name];
            for (let i = 0; i < seconds * perSecond; i++)
              made.push({
                service,
                time: new Date(at + Math.floor((i / perSecond) * 1000 + next() * 500)),
                level: next() < failing ? "error" : "info",
                ...(next() < 0.9 && { latency_ms: latency * (0.5 + next() + (next() < 0.03 ? 2 : 0)) }),
                user_id: `user ${Math.floor(next() * 40)}`,
                business_risk_score: next(),
              });
            at += seconds * 1000;
          }
          return made.filter(({ time }) => +time < until);
        });
        await sql.unsafe(`
        truncate analytics.events, analytics.services, analytics.alerts, analytics.alert_history, analytics.alert_rules,
          analytics.silences, internal.alert_messages;
        update internal.alert_evaluation set evaluated_at = '-infinity'`);
        await insertEvents(sql, events);
        // one that is forgotten in between
        await sql`
        insert into analytics.services (service, first_seen, last_seen, known_since)
        values ('old', ${new Date(since - 2000 * MINUTE)}, ${new Date(since - (24 * 60 - 6) * MINUTE)}, ${new Date(since - 2000 * MINUTE)})`;
        await sql`insert into internal.late_minutes (minute) select generate_series(${new Date(since - 20 * MINUTE)}::timestamptz, ${new Date(until)}, '1 min')`;
        await sql`call internal.refresh_rollups()`;
        await insertRules(sql, ...RULES.map((rule, index) => ({ id: `rule-${index}`, ...rule })));

        // the multiples of the step in [since, until]
        const moments = sql`(
        select array_agg(moment order by moment)
        from generate_series(
          date_bin(${`${step} s`}, ${new Date(since)}::timestamptz + ${`${step} s`}::interval - interval '1 us', '2000-01-01 00:00:00+00'),
          ${new Date(until)}, ${`${step} s`}
        ) as moment)`;
        await sql`select count(analytics.evaluate_alert_rules(as_of => moment)) from unnest(${moments}) as moment`;

        // Values of frozen alerts are left out: the live one stores that of an alert that goes on each 10 s only, and freezes it.
        const differences = await sql`
        with live as (
          select rule_id, service, as_of, previous_status, status, reason, value from analytics.alert_history
        ),
        preview as (
          select rules.id as rule_id, alert.*, rules.metric
          from analytics.alert_rules as rules
          cross join lateral internal.alert_timeline(${sql.unsafe(CALL)}, ${moments}) as alert
        )
        select rule_id, service, as_of, row_to_json(live) as live, row_to_json(preview) as preview
        from live
        full join preview using (rule_id, service, as_of)
        where (live.previous_status, live.status, live.reason)
            is distinct from (preview.previous_status, preview.status, preview.reason)
          or (live.value is null) <> (preview.value is null)
          or (
            abs(live.value - preview.value) > 1e-9 * abs(live.value)
            and preview.metric !~ '^latency_p' -- those are exact in the preview itself, below
            and live.reason not in ('no_data', 'service_gone')
          )
        order by as_of, rule_id
        limit 3`;
        expect(differences).toEqual([]);

        const live = await sql`
        select rule_id, service, started_at, status, reason, triggered_at, resolved_at, (
          select value from analytics.alert_history as history
          where history.alert_id = alerts.id and history.status in ('pending', 'active')
          order by history.status = 'active' desc, id limit 1
        ) as value
        from analytics.alerts
        order by rule_id, service, started_at`;
        const preview = await sql`
        select rules.id as rule_id, alert.service, started_at, status, reason, triggered_at, resolved_at, value
        from analytics.alert_rules as rules
        cross join lateral analytics.preview_alert_rule(
          rules.id, since => ${new Date(since)}, until => ${new Date(until)}, step => ${`${step} s`}
        ) as alert
        where triggered_at is not null or resolved_at is null
        order by rules.id, alert.service, started_at`;
        expect(live.length).toBeGreaterThan(RULES.length);
        const rounded = (rows: Record<string, unknown>[]) =>
          rows.map((row) => ({
            ...row,
            value: row.value === null ? null : Number((row.value as number).toPrecision(9)),
          }));
        expect(rounded(preview)).toEqual(rounded(live));
      }),
      { numRuns: 2, endOnFailure: true },
    );
  },
);

describe("the values at many moments", () => {
  test("are those of the live evaluation at each of them, for every metric", async () => {
    const { sql } = db;
    await sql`truncate analytics.alert_rules, analytics.silences, analytics.alerts`;
    const lookbacks = ["20 s", "60 s", "61.5 s", "5 min", "17 min"];
    const metrics = (await sql`select name from internal.alert_metrics() where builtin`).map(
      ({ name }) => name as string,
    );
    const rules = metrics.flatMap((metric) => lookbacks.map((lookback) => ({ metric, lookback })));
    await insertRules(
      sql,
      ...rules.map((rule, index) => ({ id: `r-${index}`, ...rule, operator: "!=", threshold: -1 })),
    );
    const moments = [0, 90_000, 333_333, 600_000].map((ms) => new Date(START + 92 * MINUTE + ms).toISOString());
    const differences = await sql`
      with live as (
        select moment, metric, lookback, service, value, requests
        from unnest(${moments}::timestamptz[]) as moment
        cross join lateral internal.builtin_metric_samples(moment) as sample
        where sample.requests > 0 or exists (
          select from analytics.events
          where service = sample.service and time >= moment - lookback and time < moment
        )
      ),
      series as (
        select distinct series.as_of as moment, rules.metric, rules.lookback, series.service, series.value, series.requests
        from analytics.alert_rules as rules
        cross join lateral internal.metric_series(rules.metric, rules.lookback, ${moments}::timestamptz[]) as series
      )
      select metric, lookback, moment, service, live.value as live, series.value as series
      from live
      full join series using (moment, metric, lookback, service)
      where live.requests is distinct from series.requests
        or (live.value is null) <> (series.value is null)
        or abs(live.value - series.value) > 1e-9 * abs(live.value)`;
    expect(differences).toEqual([]);
    const [{ compared }] = (await sql`
      select count(*)::int as compared
      from internal.metric_series('latency_p95', '5 min', ${moments}::timestamptz[])`) as [{ compared: number }];
    expect(compared).toBeGreaterThan(4);
  });
});

describe("a metric of a user", () => {
  test("can be previewed when it takes the moment, and is the same live", async () => {
    const { sql } = db;
    await sql`truncate analytics.alert_rules, analytics.silences, analytics.alerts, analytics.alert_history`;
    await sql.unsafe(`
      create function alert_metrics.busy(lookback interval, as_of timestamptz)
      returns table (service text, value double precision)
      language sql stable
      begin atomic
        select events.service, count(*)::double precision
        from analytics.events
        where events.time >= as_of - lookback and events.time < as_of
        group by events.service;
      end`);
    await insertRules(sql, { metric: "busy", threshold: 30, lookback: "1 min", pending_period: "1 min" });
    await sql`update internal.alert_evaluation set evaluated_at = '-infinity'`;
    const [since, until] = [START + 92 * MINUTE, START + 100 * MINUTE].map((ms) => new Date(ms).toISOString());
    await sql`
      select analytics.evaluate_alert_rules(as_of => moment)
      from generate_series(${since!}::timestamptz, ${until!}, '1 min') as moment`;
    const live = await sql`
      select service, status, started_at, triggered_at, resolved_at from analytics.alerts order by started_at, service`;
    const preview = await sql`
      select service, status, started_at, triggered_at, resolved_at
      from analytics.preview_alert_rule(
        metric => 'busy', operator => '>', threshold => 30, lookback => '1 min', pending_period => '1 min',
        since => ${since!}, until => ${until!}
      )
      where triggered_at is not null or resolved_at is null`;
    expect(preview.length).toBeGreaterThan(0);
    expect(preview).toEqual(live);
  });

  test("that knows the present only is refused, and the error says what to do", async () => {
    const { sql } = db;
    await sql.unsafe(`
      create function alert_metrics.present(lookback interval) returns table (service text, value double precision)
      language sql as $$ select 'web', 1::double precision $$`);
    await expect(
      sql`select * from analytics.preview_alert_rule(metric => 'present', operator => '>', threshold => 0, lookback => '1 min')`,
    ).rejects.toMatchObject({
      code: "22023",
      message: "preview_alert_rule: function alert_metrics.present knows the present only",
      hint: expect.stringContaining("alert_metrics.present(lookback interval, as_of timestamptz)"),
    });
  });
});

describe("a stored rule", () => {
  test("is previewed by its id, and other arguments change it", async () => {
    const { sql } = db;
    await sql`truncate analytics.alert_rules, analytics.silences`;
    await insertRules(sql, {
      id: "slow",
      metric: "latency_mean",
      threshold: 1e6,
      lookback: "2 min",
      service: "absent",
    });
    const preview = async (more: Record<string, string | number>) => {
      const list = Object.keys(more).map((name, index) => `, ${name} => $${index + 2}`);
      return db.sql.unsafe(
        `select service, count(*)::int as times from analytics.preview_alert_rule($1, since => now() - interval '4 hours' ${list.join("")})
         group by service order by service`,
        ["slow", ...Object.values(more)],
      );
    };
    expect(await preview({})).toEqual([]);
    expect(await preview({ threshold: 10 })).toEqual([]);
    const changed = await preview({ threshold: 10, service: "*" });
    expect(changed.map(({ service }) => service)).toEqual(["shop", "web"]);
    await sql`update analytics.alert_rules set threshold = 10, service = '*'`;
    expect(await preview({})).toEqual(changed);
  });

  test("that is not there is an error", async () => {
    await expect(db.sql`select * from analytics.preview_alert_rule('absent')`).rejects.toMatchObject({
      code: "22023",
      message: "preview_alert_rule: there is no alert rule absent",
    });
  });
});

test("the worst value of a percentile is the percentile of a moment of the breach", async () => {
  const { sql } = db;
  const [row] = await sql<[{ episodes: number; found: number; above: number }]>`
    with alerts as (
      select *
      from analytics.preview_alert_rule(
        metric => 'latency_p95', operator => '>', threshold => 300, lookback => '1 min',
        since => ${new Date(START + 85 * MINUTE)}, until => ${new Date(START + 110 * MINUTE)}, step => '20 s'
      )
    ),
    series as (
      select *
      from internal.metric_series('latency_p95', '1 min', array(
        select generate_series(${new Date(START + 85 * MINUTE)}::timestamptz, ${new Date(START + 110 * MINUTE)}, '20 s')
      ))
    )
    select
      count(*)::int as episodes,
      count(*) filter (where exists (
        select from series
        where series.service = alerts.service
          and series.as_of between started_at and coalesce(resolved_at, 'infinity')
          and series.value = worst_value
      ))::int as found,
      count(*) filter (where worst_value > 300)::int as above
    from alerts`;
  expect(row.episodes).toBeGreaterThan(0);
  expect(row).toEqual({ episodes: row.episodes, found: row.episodes, above: row.episodes });
});

describe("a range of which raw events are gone", () => {
  const preview = (fields: Record<string, string>) =>
    db.sql.unsafe(
      `select distinct resolution::text from analytics.preview_alert_rule(
         metric => 'total_requests', operator => '<', threshold => 1e9, lookback => '${fields.lookback}', service => 'any',
         since => now() - interval '${fields.age}', until => now() - interval '${fields.age}' + interval '30 min',
         step => '${fields.step ?? "1 min"}'
       )`,
    );

  test.each<[string, Record<string, string>, string]>([
    ["raw events", { age: "20 hours", lookback: "33 s", step: "7 s" }, "00:00:00"],
    ["10 s, cut by the windows", { age: "30 hours", lookback: "33 s", step: "7 s" }, "00:00:10"],
    ["10 s, whole", { age: "30 hours", lookback: "30 s" }, "00:00:00"],
    ["1 min, cut by the windows", { age: "60 hours", lookback: "90 s", step: "20 s" }, "00:01:00"],
    ["1 min, whole", { age: "60 hours", lookback: "3 min" }, "00:00:00"],
    ["5 min, cut by the windows", { age: "5 days", lookback: "5 min" }, "00:05:00"],
    ["1 hour, cut by the windows", { age: "20 days", lookback: "90 min", step: "10 min" }, "01:00:00"],
  ])("is answered from %s, and says so", async (_, fields, resolution) => {
    expect(await preview(fields)).toEqual([{ resolution }]);
  });

  test("is refused where a bucket is longer than the lookback, with what to do", async () => {
    await expect(preview({ age: "5 days", lookback: "1 min" })).rejects.toMatchObject({
      code: "22023",
      message: expect.stringMatching(
        /^preview_alert_rule: since is .*, of when only buckets of 00:05:00 are kept, longer than the lookback, 00:01:00$/,
      ),
      hint: expect.stringMatching(/^Take since => '.*' or later, or a longer lookback\.$/),
    });
    // what the hint says is taken
    expect(await preview({ age: "2 days 23 hours 58 min", lookback: "1 min" })).toEqual([{ resolution: "00:00:00" }]);
  });
});

describe("what makes no sense is refused with what is wrong", () => {
  const valid = { metric: "error_rate", operator: ">", threshold: 5, lookback: "1 min" };
  test.each<[Record<string, unknown>, RegExp]>([
    [{ metric: "loudness" }, /unknown metric loudness of the rule to preview/],
    [{ operator: "=" }, /invalid input value for enum analytics.alert_operator: "="/],
    [{ threshold: Number.NaN }, /the threshold is NaN, but must be a finite number/],
    [{ lookback: "-1 min" }, /the lookback is -00:01:00, but must be at least 1 second/],
    [{ lookback: "25 hours" }, /lookback 25:00:00 of the rule to preview is longer than raw events are kept, 1 day/],
    [{ pending_period: "-1 s" }, /the pending period is -00:00:01, but must not be negative/],
    [{ keep_firing_for: "-1 s" }, /keep_firing_for is -00:00:01, but must not be negative/],
    [{ min_requests: -1 }, /min_requests is -1, but must not be negative/],
    [{ service: "" }, /the service must be \*/],
    [{ step: "0.5 s" }, /the step is 00:00:00.5, but must be at least 1 second/],
    [{ step: "1 month" }, /the step is 1 mon, but must be made of days, hours, minutes and seconds/],
    [{ since: "2999-01-01", until: "2998-01-01" }, /since is 2999.*, but must be before until/],
    [{ since: "2001-01-01" }, /since is 2001.*, when nothing is kept of/],
    [{ step: "1 s" }, /86[34]\d\d evaluations from since to until, the bound is 10000/],
    [{ lookback: "12 hours", step: "30 s" }, /evaluations with a lookback of 1440 steps/],
  ])("%o", async (fields, message) => {
    const call = { ...valid, ...fields };
    const list = Object.keys(call).map((name, index) => `${name} => $${index + 1}`);
    await expect(
      db.sql.unsafe(`select * from analytics.preview_alert_rule(${list})`, Object.values(call) as string[]),
    ).rejects.toThrow(message);
  });
});

test("it writes nothing, so that it runs where nothing may be written", async () => {
  const rows = await db.sql.begin(
    "read only",
    (sql) => sql`
    select * from analytics.preview_alert_rule(
      metric => 'total_requests', operator => '<', threshold => 1, lookback => '1 min', service => 'silent',
      since => now() - interval '10 minutes'
    )`,
  );
  expect(rows).toMatchObject([{ service: "silent", status: "active", resolved_at: null, value: 0, worst_value: 0 }]);
});

test("a service that was there before a long lookback began breaches as it does live", async () => {
  const fresh = await testDatabase(); // so that the first refresh rolls up what is older than raw events are kept
  const { sql } = fresh;
  const until = Math.floor(Date.now() / (60 * MINUTE)) * 60 * MINUTE;
  const halfHours = Array.from({ length: 120 }, (_, n) => ({ time: new Date(until - (n + 1) * 30 * MINUTE) }));
  await insertEvents(sql, halfHours);
  await sql`update analytics.services set first_seen = ${new Date(until - 60 * 60 * MINUTE)}, known_since = first_seen`;
  await sql`call internal.refresh_rollups()`;
  const found = await sql`
    select service, started_at from analytics.preview_alert_rule(
      metric => 'total_requests', operator => '<', threshold => 1000, lookback => '1 day',
      since => ${new Date(until - 120 * MINUTE)}, until => ${new Date(until)}, step => '1 hour')`;
  await fresh.drop();
  expect(found).toEqual([{ service: "web", started_at: new Date(until - 120 * MINUTE) }]);
});
