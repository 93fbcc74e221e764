// Editing analytics.retention changes the policies, and a ladder that would lose roll-ups is refused.

import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../setup/services.ts";
import { ago, insertEvents } from "../../events.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

const policies = async () => {
  const rows = await db.sql`
    select hypertable_name || ' ' || proc_name as policy, config ->> 'drop_after' as drop_after, config ->> 'compress_after' as compress_after
    from timescaledb_information.jobs where proc_name in ('policy_retention', 'policy_compression')`;
  return Object.fromEntries(rows.map((row) => [row.policy, row.drop_after ?? row.compress_after]));
};
const edit = (tier: string, keep: string) =>
  db.sql`update analytics.retention set keep = ${keep}::interval where tier = ${tier}`;

test("the shipped tiers are the policies", async () => {
  expect(await policies()).toEqual({
    "events policy_retention": "1 day",
    "events policy_compression": "02:00:00",
    "metrics_10s_v1 policy_retention": "2 days",
    "metrics_1min_v1 policy_retention": "3 days",
    "metrics_5min_v1 policy_retention": "7 days",
    "metrics_1hour_v1 policy_retention": "30 days",
    "endpoint_metrics_1min_v1 policy_retention": "3 days",
    "endpoint_metrics_5min_v1 policy_retention": "7 days",
  });
});

test("editing a row changes its policy and its updated_at", async () => {
  await db.sql`update analytics.retention set keep = '90 days' where tier = '1hour'`;
  await db.sql`update analytics.retention set compress_after = '4 hours' where tier = 'raw'`;
  expect(await policies()).toMatchObject({
    "metrics_1hour_v1 policy_retention": "90 days",
    "events policy_compression": "04:00:00",
  });
  await db.sql`update analytics.retention set compress_after = null where tier = 'raw'`;
  expect(await policies()).not.toHaveProperty("events policy_compression");
});

test("a level that would not outlive the one below it is refused, in words", async () => {
  await expect(edit("raw", "2 days")).rejects.toThrow(
    "retention: 10s must be kept 00:01:00 longer than raw (2 days), not 2 days",
  );
  await expect(edit("1hour", "7 days")).rejects.toThrow(/1hour must be kept .* longer than 5min/);
  await expect(edit("raw", "10 minutes")).rejects.toThrow("raw must be kept for at least 1 hour");
  await expect(edit("raw", "-1 day")).rejects.toThrow(/retention_keep_check/);
  expect(await policies()).toMatchObject({ "events policy_retention": "1 day" });
});

test("a whole ladder can be raised in one statement", async () => {
  await db.sql`
    update analytics.retention set keep = keep * 2 where tier in ('raw', '10s', '1min', '5min', '1hour')`;
  expect(await policies()).toMatchObject({
    "events policy_retention": "2 days",
    "metrics_5min_v1 policy_retention": "14 days",
  });
});

test("tiers cannot be deleted or made up", async () => {
  await expect(db.sql`delete from analytics.retention where tier = 'raw'`).rejects.toThrow("a tier is missing");
  await expect(db.sql`insert into analytics.retention values ('2min', '1 day')`).rejects.toThrow(
    /invalid input value for enum analytics.retention_tier/,
  );
  await expect(db.sql`update analytics.retention set compress_after = '1 hour' where tier = '10s'`).rejects.toThrow(
    /retention_check/,
  );
});

test("old events leave by the policies: first to the columnstore, then for good, and the roll-ups stay", async () => {
  const now = new Date();
  await insertEvents(
    db.sql,
    Array.from({ length: 21 }, (_, hours) => ({ time: ago(now, hours * 3600) })),
  );
  await db.sql`call internal.refresh_rollups()`;
  // New policies are due at once; here they are run by hand, so the scheduler must not see them first.
  const jobs = await db.sql.begin(async (sql) => {
    await sql`update analytics.retention set keep = '10 hours', compress_after = '3 hours' where tier = 'raw'`;
    return sql`
      select job_id, alter_job(job_id, scheduled => false)::text from timescaledb_information.jobs
      where hypertable_name = 'events' and proc_name in ('policy_compression', 'policy_retention')`;
  });
  for (const { job_id } of jobs) await db.sql`call run_job(${job_id})`;
  const [row] = await db.sql`
    select
      (select count(*)::int from analytics.events) as events,
      (select count(*)::int from timescaledb_information.chunks where hypertable_name = 'events' and is_compressed) as compressed,
      (select sum(total_requests)::int from analytics.metrics_1hour) as rolled_up`;
  // a chunk leaves when all of it is older: an hour more than the 10 may stay
  expect(row!.events).toBeGreaterThanOrEqual(11);
  expect(row!.events).toBeLessThanOrEqual(12);
  expect(row!.compressed).toBeGreaterThanOrEqual(6);
  expect(row!.rolled_up).toBe(21);
});
