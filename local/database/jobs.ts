// TimescaleDB's jobs: policies and those of add_job. The server's own scheduler needs processes, which WASM does not have, and
// run_job() keeps no record; so a loop runs what is due and keeps the records as the scheduler does.
import { type Client, type Database, newClient } from "./database.ts";
import { quote } from "./settings.ts";

const due = `
  select j.id, j.owner::oid, r.rolname, j.application_name, ceil(extract(epoch from j.max_runtime) * 1000)
  from _timescaledb_config.bgw_job j
  join pg_catalog.pg_roles r on r.oid = j.owner
  left join _timescaledb_internal.bgw_job_stat s on s.job_id = j.id
  where j.scheduled and coalesce(s.next_start, j.initial_start, '-infinity') <= now()
  order by coalesce(s.next_start, j.initial_start, '-infinity')
  limit 1`;

/** Counted as a crash until it has ended, and then not tried again for five minutes, as TimescaleDB does it. */
const begin = (id: string) => `
  insert into _timescaledb_internal.bgw_job_stat as s
    (job_id, last_start, last_finish, next_start, last_successful_finish, last_run_success, total_runs, total_duration,
      total_duration_failures, total_successes, total_failures, total_crashes, consecutive_failures, consecutive_crashes)
  values (${id}, now(), '-infinity', now() + '5 minutes', '-infinity', false, 1, '0', '0', 0, 0, 1, 0, 1)
  on conflict (job_id) do update set
    last_start = excluded.last_start,
    last_finish = excluded.last_finish,
    next_start = excluded.next_start,
    total_runs = s.total_runs + 1,
    total_crashes = s.total_crashes + 1,
    consecutive_crashes = s.consecutive_crashes + 1
  returning s.next_start`;

/** The outcome; a next_start that the job itself has set by alter_job() stays. */
const end = (id: string, provisional: string, failure: string | undefined) => {
  const failed = failure !== undefined;
  const [, code = "XX000", text = failure] = failure?.match(/^(\w{5}): (.*)$/s) ?? [];
  return `
  with job as (
    select j.*, s.consecutive_failures + 1 as failures, j.initial_start + j.schedule_interval * (1 + floor(
      extract(epoch from clock_timestamp() - j.initial_start) / extract(epoch from j.schedule_interval))) as slot
    from _timescaledb_config.bgw_job j join _timescaledb_internal.bgw_job_stat s on s.job_id = j.id
    where j.id = ${id}
  ), planned as (
    select case
      when ${failed} then least(
        clock_timestamp() + least(retry_period * 2 ^ (least(failures, 20) - 1), schedule_interval * 5),
        case when fixed_schedule then slot end)
      when fixed_schedule then slot
      else clock_timestamp() + schedule_interval end as next_start
    from job
  ), given_up as (
    update _timescaledb_config.bgw_job j set scheduled = false from job
    where j.id = job.id and ${failed} and job.max_retries >= 0 and job.failures > job.max_retries
  ), history as (
    insert into _timescaledb_internal.bgw_job_stat_history
      (job_id, pid, execution_start, execution_finish, succeeded, data)
    select s.job_id, pg_backend_pid(), s.last_start, clock_timestamp(), ${!failed}, jsonb_build_object('job', to_jsonb(job)
      ${failed ? `, 'error_data', jsonb_build_object('sqlerrcode', ${quote(code)}, 'message', ${quote(text!)})` : ""})
    from _timescaledb_internal.bgw_job_stat s join job on job.id = s.job_id
    where ${failed} or current_setting('timescaledb.enable_job_execution_logging')::boolean
  )
  update _timescaledb_internal.bgw_job_stat s set
    last_finish = clock_timestamp(),
    last_run_success = ${!failed},
    last_successful_finish = case when ${failed} then s.last_successful_finish else clock_timestamp() end,
    next_start = case when s.next_start = ${quote(provisional)} then planned.next_start else s.next_start end,
    total_duration = s.total_duration + (clock_timestamp() - s.last_start),
    total_duration_failures = s.total_duration_failures
      + case when ${failed} then clock_timestamp() - s.last_start else '0' end,
    total_successes = s.total_successes + ${failed ? 0 : 1},
    total_failures = s.total_failures + ${failed ? 1 : 0},
    total_crashes = s.total_crashes - 1,
    consecutive_failures = ${failed ? "s.consecutive_failures + 1" : "0"},
    consecutive_crashes = 0
  from planned where s.job_id = ${id}`;
};

/** Runs the job that is due for longest, in one turn; false if there is none. */
async function runDueJob(database: Database): Promise<boolean> {
  return database.inTurn(async (gateway: Client) => {
    const extension =
      "select quote_ident(nspname) from pg_extension e, pg_namespace n where extname = 'timescaledb' and n.oid = extnamespace";
    const [timescaledb] = await database.ask(gateway, extension);
    if (!timescaledb) return false;
    const [own] = await database.ask(
      gateway,
      "select 1 from _timescaledb_config.bgw_job where id >= 1000 and scheduled limit 1",
    );
    database.hasJobs = own !== undefined;
    const [job] = await database.ask(gateway, due);
    if (!job) return false;
    const [id, owner, role, application, limit] = job as string[];
    const [[provisional]] = (await database.ask(gateway, begin(id!))) as [[string]];
    const runner = newClient({ oid: Number(owner), role: role! }, new Map([["application_name", application!]]));
    const timer = Number(limit) > 0 ? setTimeout(() => database.engine.cancel(), Number(limit)) : undefined;
    let failure: string | undefined;
    try {
      await database.ask(runner, `call ${timescaledb[0]}.run_job(${id})`);
    } catch (reason) {
      failure = (reason as Error).message;
    } finally {
      clearTimeout(timer);
    }
    await database.ask(gateway, end(id!, provisional, failure));
    return true;
  });
}

/** Looks for due jobs every second, as long as the database is open. */
export function scheduleJobs(database: Database): void {
  let looking = false;
  const timer = setInterval(async () => {
    if (looking || database.turns.paused()) return;
    looking = true;
    try {
      while (await runDueJob(database));
    } catch (reason) {
      if (!database.closed()) console.error(`local database: jobs of ${database.name}: ${(reason as Error).message}`);
    }
    looking = false;
  }, 1000);
  database.ended.then(() => clearInterval(timer));
}
