// Any range against the same sums over the raw rows: the decomposition into levels must neither lose nor double an event.

import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../setup/services.ts";

let db: TestDatabase;
const HOUR = 3_600_000;
let now: number;

beforeAll(async () => {
  db = await testDatabase();
  now = Date.now();
  // 26 000 events over 5 hours, dense in the last ten minutes; the older part is materialized, the last minute is not.
  await db.sql`
    insert into analytics.events (time, service, level, latency_ms, user_id, business_risk_score)
    select
      to_timestamp(${now} / 1000.0) - case when n % 5 = 0 then random() * interval '5 hours' else random() * interval '10 min' end,
      's' || n % 3,
      (array['info', 'warning', 'error', 'critical']::analytics.event_level[])[1 + n % 4],
      case when n % 7 > 0 then n % 1000 end,
      'user-' || n % 400,
      case when n % 3 = 0 then n % 100 / 100.0 end
    from generate_series(1, 26000) as n`;
  await db.sql`call internal.refresh_rollups()`;
});
afterAll(() => db.drop());

const sums = (from: string) => `
  select
    coalesce(jsonb_object_agg(service, jsonb_build_array(total, failed, latencies, risky, low, high, round(mean::numeric, 6))), '{}')
      as sums
  from (${from}) as m`;

const compare = async (since: Date, until: Date) => {
  const [window] = await db.sql.unsafe(
    sums(`
      select service, total_requests as total, failed_requests as failed, latency_count as latencies, high_risk_count as risky,
        latency_min as low, latency_max as high, latency_mean as mean
      from internal.window_metrics($1, $2)`),
    [since.toISOString(), until.toISOString()],
  );
  const [raw] = await db.sql.unsafe(
    sums(`
      select service, count(*) as total, count(*) filter (where level in ('error', 'critical')) as failed,
        count(latency_ms) as latencies, count(*) filter (where business_risk_score > 0.7) as risky,
        min(latency_ms) as low, max(latency_ms) as high, avg(latency_ms) as mean
      from analytics.events where time >= $1 and time < $2 group by service`),
    [since.toISOString(), until.toISOString()],
  );
  expect(window!.sums).toEqual(raw!.sums);
  return raw!.sums as object;
};

test("every range gives exactly the events in it", async () => {
  const moment = fc.oneof(
    fc.integer({ min: -5 * HOUR, max: 60_000 }),
    fc.integer({ min: -660_000, max: 1_000 }),
    fc.integer({ min: -300, max: 0 }).map((n) => n * 60_000), // on the minute
  );
  await fc.assert(
    fc.asyncProperty(moment, moment, async (a, b) => {
      await compare(new Date(now + Math.min(a, b)), new Date(now + Math.max(a, b)));
    }),
    { numRuns: 60 },
  );
});

test("one service is as it is among all", async () => {
  for (const range of ["17 seconds", "7 minutes", "3 hours 13 minutes"]) {
    const until = new Date(now).toISOString();
    const [row] = await db.sql`
      with
        alone as (select * from internal.window_metrics(${until}::timestamptz - ${range}::interval, ${until}, 's1')),
        among_all as (
          select * from internal.window_metrics(${until}::timestamptz - ${range}::interval, ${until}) where service = 's1'
        )
      select
        (select count(*)::int from alone) as alone,
        (select count(*)::int from (table alone intersect table among_all) as rows) as same`;
    expect(row).toEqual({ alone: 1, same: 1 });
  }
});

test("a range that ends now covers what came a moment ago", async () => {
  await db.sql`
    insert into analytics.events (time, service, level) values (clock_timestamp(), 'fresh', 'error')`;
  const sums = await compare(new Date(Date.now() - 60_000), new Date(Date.now() + 1_000));
  expect(sums).toHaveProperty("fresh");
});

test("an empty or backward range has no rows", async () => {
  expect(await compare(new Date(now), new Date(now))).toEqual({});
  expect(await compare(new Date(now), new Date(now - HOUR))).toEqual({});
});

test("ranges whose raw events are gone are widened to the finest level that is kept", async () => {
  const own = await testDatabase();
  try {
    await own.sql`
      insert into analytics.events (time, service, level)
      select date_trunc('minute', now()) - interval '5 hours' + n * interval '1 second', 'old', 'info'
      from generate_series(0, 599) as n`;
    await own.sql`call internal.refresh_rollups()`;
    await own.sql`update analytics.retention set keep = '2 hours' where tier = 'raw'`;
    await own.sql`select drop_chunks('analytics.events', interval '2 hours')`;
    const [row] = await own.sql`
      select total_requests::int as total
      from internal.window_metrics(
        date_trunc('minute', now()) - interval '5 hours' + interval '14 seconds',
        date_trunc('minute', now()) - interval '5 hours' + interval '31 seconds'
      )`;
    expect(row!.total).toBe(30); // 10 s to 40 s
  } finally {
    await own.drop();
  }
});
