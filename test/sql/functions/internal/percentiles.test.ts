// Percentiles at every level and for every merge, against exact ones from the raw rows.

import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../setup/services.ts";

let db: TestDatabase;

beforeAll(async () => {
  db = await testDatabase();
  // Four services, three hours, 120 000 events: log-normal, Pareto with a heavy tail, two humps, and a few huge values;
  // one event in seven has no latency.
  await db.sql`select setseed(0.42)`;
  await db.sql.begin(async (sql) => {
    await sql`select setseed(0.42)`;
    await sql`
      insert into analytics.events (time, service, endpoint, level, latency_ms)
      select
        date_trunc('hour', now()) - interval '3 hours' + random() * interval '3 hours',
        service,
        '/' || n % 3,
        'info',
        case when n % 7 > 0 then least(600000, case service
          when 'lognormal' then exp(3 + 1.5 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()))
          when 'pareto' then 0.5 / (1 - random()) ^ (1 / 0.8)
          when 'two humps' then case when random() < 0.9 then 5 + random() else 5000 + 100 * random() end
          else case when n % 100 = 0 then 500000 * random() else 0.1 + 0.1 * random() end
        end) end
      from generate_series(1, 30000) as n, unnest(array['lognormal', 'pareto', 'two humps', 'rarely huge']) as service`;
  });
});
afterAll(() => db.drop());

const levels = [
  { level: "metrics_1min", width: "1 minute" },
  { level: "metrics_5min", width: "5 minutes" },
  { level: "metrics_1hour", width: "1 hour" },
];

/** Largest relative error of p50, p95 and p99 over all rows of a comparison, and the number of rows. */
const worst = `
  count(*)::int as rows,
  max(abs(m.latency_p50 / exact[1] - 1)) as p50,
  max(abs(m.latency_p95 / exact[2] - 1)) as p95,
  max(abs(m.latency_p99 / exact[3] - 1)) as p99,
  bool_and(m.latency_min = smallest and m.latency_max = largest) as extremes_exact`;
const exact = `
  percentile_disc(array[0.5, 0.95, 0.99]) within group (order by latency_ms) as exact,
  min(latency_ms) as smallest,
  max(latency_ms) as largest`;

const within2Percent = (row: Record<string, unknown> | undefined, rows: number) => {
  expect(row).toMatchObject({ rows, extremes_exact: true });
  for (const percentile of ["p50", "p95", "p99"]) expect(row![percentile], percentile).toBeLessThanOrEqual(0.02);
};

for (const refreshed of [false, true]) {
  const state = refreshed ? "materialized" : "real-time";

  test(`${state}: every bucket of every level is within 2 % of the exact percentiles`, async () => {
    if (refreshed) await db.sql`call internal.refresh_rollups()`;
    for (const { level, width } of levels) {
      const [row] = await db.sql.unsafe(`
        select ${worst}
        from analytics.${level} as m
        join (
          select time_bucket('${width}', time) as bucket, service, ${exact} from analytics.events group by 1, 2
        ) as raw using (bucket, service)`);
      const [{ buckets }] = (await db.sql.unsafe(`
        select count(distinct (time_bucket('${width}', time), service))::int as buckets from analytics.events`)) as [
        { buckets: number },
      ];
      within2Percent(row, buckets);
    }
  });

  test(`${state}: endpoints too`, async () => {
    const [row] = await db.sql.unsafe(`
      select ${worst}
      from analytics.endpoint_metrics_5min as m
      join (
        select time_bucket('5 minutes', time) as bucket, service, endpoint, ${exact} from analytics.events group by 1, 2, 3
      ) as raw using (bucket, service, endpoint)`);
    within2Percent(row, 36 * 4 * 3);
  });

  test(`${state}: merges over time are within 2 % of the exact percentiles`, async () => {
    const [row] = await db.sql.unsafe(`
      select ${worst}
      from internal.window_metrics(now() - interval '5 hours', now()) as m
      join (select service, ${exact} from analytics.events group by 1) as raw using (service)`);
    within2Percent(row, 4);
  });

  test(`${state}: a merge over services is within 2 % of the exact percentiles`, async () => {
    const [row] = await db.sql.unsafe(`
      select ${worst}
      from (
        select
          percentiles[1] as latency_p50, percentiles[2] as latency_p95, percentiles[3] as latency_p99, latency_min, latency_max
        from (
          select
            internal.histogram_percentiles(
              internal.histogram_sum(latency_histogram), min(latency_min), max(latency_max), array[0.5, 0.95, 0.99]
            ) as percentiles,
            min(latency_min) as latency_min,
            max(latency_max) as latency_max
          from internal.metrics_5min_v1
        ) as merged
      ) as m
      cross join (select ${exact} from analytics.events) as raw`);
    within2Percent(row, 1);
  });
}

test("an empty or missing histogram has no percentiles, and a single value is its own", async () => {
  const [row] = await db.sql`
    select
      internal.histogram_percentiles(null, null, null, array[0.5])::text as missing,
      internal.histogram_percentiles(array_fill(0, array[402]), null, null, array[0.5, 0.99])::text as empty,
      internal.histogram_percentiles(
        histogram(internal.latency_histogram_axis(v), ln(0.1::float8), ln(6e5::float8), 400), 7.5, 7.5, array[0.01, 0.5, 1]
      )::text as single
    from (values (7.5::float8)) as one (v)`;
  expect(row).toEqual({ missing: "{NULL}", empty: "{NULL,NULL}", single: "{7.5,7.5,7.5}" });
});

test("latencies of 0 ms and of hours are kept by their minimum and maximum", async () => {
  const [row] = await db.sql`
    select internal.histogram_percentiles(
      histogram(internal.latency_histogram_axis(v), ln(0.1::float8), ln(6e5::float8), 400), min(v), max(v), array[0.1, 0.9]
    ) as percentiles
    from (values (0::float8), (0), (7200000)) as latencies (v)`;
  expect(row!.percentiles).toEqual([0, 7_200_000]);
});
