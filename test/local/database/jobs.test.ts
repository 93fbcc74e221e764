import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { limit, type Server, sharedServer } from "./server.ts";

let server: Server;
beforeAll(async () => {
  server = await sharedServer();
  await server.psql(`create extension if not exists timescaledb; create role worker login; grant create on schema public to worker;
    create table runs (at timestamptz, who name, application text); grant insert on runs to worker`);
});
afterAll(() => server.stop());

/** Asks until the answer is as it should be, for thirty seconds. */
async function eventually(question: string, answer: string | RegExp): Promise<void> {
  const until = Date.now() + 30_000;
  for (;;) {
    const last = await server.psql(question);
    if (typeof answer === "string" ? last === answer : answer.test(last)) return;
    if (Date.now() > until) expect(last).toBe(answer);
    await setTimeout(200);
  }
}

test("a refresh policy runs when it is due, and job_stats tells of it", async () => {
  await server.psql(`create table t (time timestamptz not null, v int); select create_hypertable('t', 'time');
    insert into t select now() - n * interval '1 minute', n from generate_series(5, 64) n;
    create materialized view m with (timescaledb.continuous, timescaledb.materialized_only) as
      select time_bucket('1 minute', time) as minute, count(*) as n from t group by 1 with no data;
    select add_continuous_aggregate_policy('m', interval '90 minutes', interval '1 minute', buckets_per_batch => 0, schedule_interval => interval '1 second')`);
  await eventually("select sum(n) from m", "60");
  await eventually(
    `select last_run_status, job_status, total_runs >= 2, total_failures, total_runs = total_successes,
      next_start > last_successful_finish, last_run_duration > interval '0'
      from timescaledb_information.job_stats where hypertable_name like '_materialized%'`,
    "Success|Scheduled|t|0|t|t|t",
  );
  await server.psql("insert into t values (now() - interval '30 minutes', 1)");
  await eventually("select sum(n) from m", "61");
});

test("retention and columnstore policies do their work", async () => {
  await server.psql(`create table old (time timestamptz not null, service text, v int);
    select create_hypertable('old', by_range('time', interval '1 hour'));
    insert into old select now() - n * interval '1 hour', 's', n from generate_series(0, 9) n;
    alter table old set (timescaledb.enable_columnstore, timescaledb.segmentby = 'service');
    call add_columnstore_policy('old', after => interval '3 hours', schedule_interval => interval '1 second');
    select add_retention_policy('old', drop_after => interval '6 hours', schedule_interval => interval '1 second')`);
  await eventually("select max(v) in (5, 6), count(*) in (6, 7) from old", "t|t");
  await eventually(
    "select count(*) >= 2 from timescaledb_information.chunks where hypertable_name = 'old' and is_compressed",
    "t",
  );
});

test("a user's job runs as its owner, and never inside the transaction of a client", async () => {
  const owner = await server.client(undefined, "worker");
  await owner.query(`create procedure job(job_id int, config jsonb) language plpgsql as $$begin
    insert into runs values (clock_timestamp(), current_user, current_setting('application_name')); commit; end$$`);
  await owner.query("select add_job('job', '1 second', fixed_schedule => false)");
  await eventually(
    "select count(*) > 0 from runs where who = 'worker' and application like 'User-Defined Action%'",
    "t",
  );
  const client = await server.client();
  await client.query("begin");
  const count = async () => (await client.query("select count(*)::int from runs")).rows[0].count;
  const before = await count();
  await setTimeout(1500);
  expect(await count()).toBe(before);
  await client.query("commit");
  await eventually(`select count(*) > ${before} from runs`, "t");
});

test("a job that fails is recorded, tried again after its retry period, and given up after max_retries", async () => {
  await server.psql(
    `create procedure bad(job_id int, config jsonb) language plpgsql as $$begin raise exception 'it is bad'; end$$`,
  );
  const id = await server.psql("select add_job('bad', '1 hour', fixed_schedule => false)");
  await eventually(
    `select total_failures, last_run_status, next_start - last_run_started_at > interval '4 minutes'
    from timescaledb_information.job_stats where job_id = ${id}`,
    "1|Failed|t",
  );
  expect(
    await server.psql(`select sqlerrcode, err_message from timescaledb_information.job_errors where job_id = ${id}`),
  ).toBe("P0001|it is bad");
  await server.psql(`select alter_job(${id}, max_retries => 1, retry_period => '1 second', next_start => now())`);
  await eventually(
    `select total_failures, job_status from timescaledb_information.job_stats where job_id = ${id}`,
    "2|Paused",
  );
});

test("jobs do not starve clients", async () => {
  await server.psql(`create procedure busy(job_id int, config jsonb) language plpgsql as $$begin perform pg_sleep(0.3); end$$;
    select add_job('busy', '100 milliseconds', fixed_schedule => false) from generate_series(1, 4)`);
  await eventually(
    "select count(*) from timescaledb_information.job_stats join timescaledb_information.jobs using (job_id) where proc_name = 'busy' and total_runs > 0",
    "4",
  );
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const before = performance.now();
    await server.psql("select 1");
    times.push(performance.now() - before);
  }
  await server.psql("select delete_job(job_id) from timescaledb_information.jobs where proc_name = 'busy'");
  expect(Math.max(...times)).toBeLessThan(limit(2000));
});
