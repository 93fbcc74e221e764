// Freshness at every level, late events, and what must not happen: a frozen open bucket, a roll-up erased by retention.

import { afterEach, beforeEach, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../setup/services.ts";
import { ago, insertEvents } from "../../events.ts";

let db: TestDatabase;
let now: Date;
beforeEach(async () => {
  db = await testDatabase();
  now = new Date();
});
afterEach(() => db.drop());

const refresh = () => db.sql`call internal.refresh_rollups()`;
const totals = async () => {
  const [row] = await db.sql`
    select
      (select coalesce(sum(total_requests), 0)::int from internal.metrics_10s_v1) as "10s",
      (select coalesce(sum(total_requests), 0)::int from analytics.metrics_1min) as "1min",
      (select coalesce(sum(total_requests), 0)::int from analytics.metrics_5min) as "5min",
      (select coalesce(sum(total_requests), 0)::int from analytics.metrics_1hour) as "1hour",
      (select coalesce(sum(total_requests), 0)::int from analytics.endpoint_metrics_5min) as "endpoint"`;
  return row;
};
const everywhere = (n: number) => ({ "10s": n, "1min": n, "5min": n, "1hour": n, endpoint: n });

const seconds = (...list: number[]) => list.map((s) => ({ time: ago(now, s), endpoint: "/" }));

test("an event shows at every level as soon as it is committed, before and after a refresh", async () => {
  await insertEvents(db.sql, seconds(0, 5, 30, 400, 4000));
  expect(await totals()).toEqual(everywhere(5));
  await refresh();
  expect(await totals()).toEqual(everywhere(5));
  await insertEvents(db.sql, seconds(0, 1));
  expect(await totals()).toEqual(everywhere(7));
});

test("the open bucket is not frozen by a refresh", async () => {
  for (let round = 1; round <= 3; round++) {
    await insertEvents(db.sql, [{ time: new Date(), endpoint: "/" }]);
    await refresh();
    expect(await totals()).toEqual(everywhere(round));
  }
});

test("events a little late are found by the look-back", async () => {
  await insertEvents(db.sql, seconds(0, 60, 3600));
  await refresh();
  await insertEvents(db.sql, seconds(15, 45, 100));
  await refresh();
  expect(await totals()).toEqual(everywhere(6));
});

test("events of a named late minute are rolled up where they fell, at every level", async () => {
  await insertEvents(db.sql, seconds(0, 60, 3600, 7200, 20_000));
  await refresh();
  await insertEvents(db.sql, seconds(500, 3000, 3010, 9000, 19_000, 80_000));
  await refresh();
  expect(await totals()).toEqual(everywhere(11));
  const [{ left }] = (await db.sql`select count(*)::int as left from internal.late_minutes`) as [{ left: number }];
  expect(left).toBe(0);
  const differences = await db.sql`
    select bucket, service from (
      select time_bucket('1 hour', time) as bucket, service, count(*) as exact from analytics.events group by 1, 2
    ) as raw
    full join analytics.metrics_1hour using (bucket, service)
    where exact is distinct from total_requests`;
  expect([...differences]).toEqual([]);
});

test("dropping raw events leaves the roll-ups, also when a late minute is below what is kept", async () => {
  await insertEvents(db.sql, seconds(0, 60, 3 * 3600, 5 * 3600, 9 * 3600));
  await refresh();
  await db.sql`update analytics.retention set keep = '1 hour' where tier = 'raw'`;
  await db.sql`select drop_chunks('analytics.events', interval '1 hour')`;
  await db.sql`insert into internal.late_minutes (minute) values (date_trunc('minute', now() - interval '5 hours'))`;
  await refresh();
  expect(await totals()).toEqual(everywhere(5));
});

test("after a long stop the refresh goes on where it ended, without a gap", async () => {
  await insertEvents(db.sql, seconds(5 * 3600));
  await db.sql`update internal.rollups set refreshed_until = date_bin(width, now() - interval '6 hours', '2000-01-01 00:00:00+00')`;
  await insertEvents(db.sql, seconds(0, 30, 4 * 3600));
  await refresh();
  expect(await totals()).toEqual(everywhere(4));
});

test("it also runs as a job of the database", async () => {
  await insertEvents(db.sql, seconds(0, 60, 600));
  const [job] = await db.sql`
    select job_id, extract(epoch from schedule_interval)::int as seconds
    from timescaledb_information.jobs where proc_schema = 'internal' and proc_name = 'refresh_rollups'`;
  expect(job!.seconds).toBe(60);
  await db.sql`call run_job(${job!.job_id})`;
  const rollups = await db.sql`select name from internal.rollups where refreshed_until is null`;
  expect([...rollups]).toEqual([]);
  expect(await totals()).toEqual(everywhere(3));
});
