// What the login and the way of running hold by themselves, when the check of the syntax lets everything pass.

import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { execute } from "../../src/adhoc/execute.ts";
import { adhocPool, adhocUrl } from "../../src/adhoc/login.ts";
import { type TestDatabase, testDatabase, testServers } from "../setup/services.ts";
import { ago, insertEvents } from "../sql/events.ts";
import { ESCAPES } from "./escapes.ts";

let db: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  db = await testDatabase();
  await insertEvents(db.sql, [{ time: ago(new Date(), 10), user_id: "u1" }]);
  pool = adhocPool(adhocUrl(db.url));
});
afterAll(async () => {
  await pool.end();
  await db.drop();
});

const run = (sql: string, rows = 10) => execute(pool, sql, rows);

test("it is a plain login without a way to anything else", async () => {
  const [role] = await db.sql`
    select rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolconnlimit,
      (select count(*)::integer from pg_auth_members where member = pg_roles.oid) as memberships
    from pg_roles where rolname = 'stacklens_adhoc'`;
  expect(role).toEqual({
    rolsuper: false,
    rolinherit: false,
    rolcreaterole: false,
    rolcreatedb: false,
    rolreplication: false,
    rolbypassrls: false,
    rolconnlimit: 10,
    memberships: 0,
  });
});

test("its limits are settings of the role", async () => {
  const { rows } = await run(
    `
    select name, current_setting(name) from unnest(array[
      'default_transaction_read_only', 'transaction_read_only', 'statement_timeout', 'lock_timeout',
      'idle_in_transaction_session_timeout', 'idle_session_timeout', 'work_mem', 'search_path', 'TimeZone',
      'standard_conforming_strings', 'max_parallel_workers_per_gather']) as name`,
    20,
  );
  expect(Object.fromEntries(rows as [string, string][])).toEqual({
    default_transaction_read_only: "on",
    transaction_read_only: "on",
    statement_timeout: "5s",
    lock_timeout: "1s",
    idle_in_transaction_session_timeout: "5s",
    idle_session_timeout: "1min",
    work_mem: "16MB",
    search_path: "analytics, public",
    TimeZone: "UTC",
    standard_conforming_strings: "on",
    max_parallel_workers_per_gather: "0",
  });
});

test("it may write nowhere, and reads nothing beyond schema analytics", async () => {
  const rights = await db.sql`
    select c.oid::regclass::text as name
    from pg_class as c
    where relkind in ('r', 'v', 'm', 'p', 'f', 'S') and has_schema_privilege('stacklens_adhoc', relnamespace, 'usage')
      and relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema')
      and case relkind
        when 'S' then has_sequence_privilege('stacklens_adhoc', c.oid, 'usage, update')
        else has_table_privilege('stacklens_adhoc', c.oid, 'insert, update, delete, truncate, references, trigger')
          or has_any_column_privilege('stacklens_adhoc', c.oid, 'insert, update, references')
          or relnamespace <> 'analytics'::regnamespace and has_table_privilege('stacklens_adhoc', c.oid, 'select')
            and relnamespace::regnamespace::text !~ '^(timescaledb_|_timescaledb_|toolkit_)'
      end`;
  expect(rights).toEqual([]);
  const schemas = await db.sql`
    select nspname from pg_namespace
    where has_schema_privilege('stacklens_adhoc', oid, 'create')
      or nspname in ('internal', 'alert_metrics', 'graphile_worker') and has_schema_privilege('stacklens_adhoc', oid, 'usage')`;
  expect(schemas).toEqual([]);
});

test.each([
  ["a second statement", "select 1; select 2", "42601"],
  ["leaving the transaction", "select 1; commit; create table x ()", "42601"],
  ["a write in WITH", "with x as (insert into silences (reason) values ('x') returning 1) select * from x", "0A000"],
  ["for update", "select * from alerts for update", "42501|25006|0A000"],
  ["select into", "select 1 as a into x", "42601|42P11|0A000"],
  ["becoming the owner", "select set_config('role', current_setting('is_superuser'), true)", "22023"],
  ["becoming a superuser", "select set_config('role', rolname, true) from pg_roles where rolsuper limit 1", "42501"],
  [
    "becoming a superuser for good",
    "select set_config('session_authorization', rolname, false) from pg_roles where rolsuper",
    "42501",
  ],
  ["writing after all", "select set_config('transaction_read_only', 'off', true)", "25001"],
  ["lifting the limit of temporary files", "select set_config('temp_file_limit', '-1', false)", "42501"],
  ["reading a file", "select pg_read_file('PG_VERSION')", "42501"],
  ["reading a binary file", "select pg_read_binary_file('PG_VERSION')", "42501"],
  ["listing files", "select pg_ls_dir('.')", "42501"],
  ["listing the log", "select * from pg_ls_logdir()", "42501"],
  ["looking at a file", "select pg_stat_file('PG_VERSION')", "42501"],
  ["importing a file", "select lo_import('/etc/passwd')", "42501"],
  ["exporting a file", "select lo_export(1, '/tmp/x')", "42501"],
  ["passwords", "select * from pg_authid", "42501"],
  ["where its settings come from", "select * from pg_file_settings", "42501"],
  ["who may connect", "select * from pg_hba_file_rules", "42501"],
  ["what planning knows of values", "select * from pg_statistic", "42501"],
  ["the internal schema", "select * from internal.ingest_offsets", "42501"],
  ["functions of the internal schema", "select internal.window_metrics(now(), now())", "42501"],
  ["the jobs of the worker", "select * from graphile_worker.jobs", "42501"],
  ["a job of its own", "select graphile_worker.add_job('clean_up')", "42501"],
  ["evaluating the rules", "select analytics.evaluate_alert_rules(now())", "42501|25006"],
  ["acknowledging an alert", "select * from analytics.acknowledge_alert(1, 'x')", "42501|25006"],
  ["archiving", "select analytics.archive()", "42501|25006"],
  ["SQL by query_to_xml", "select query_to_xml('select * from internal.ingest_offsets', true, true, '')", "42501"],
  [
    "a write by query_to_xml",
    "select query_to_xml('delete from analytics.events', true, true, '')",
    "0A000|42501|25006",
  ],
  [
    "a table by query_to_xml",
    "select query_to_xml('create temp table x (a int)', true, true, '')",
    "0A000|25006|42501",
  ],
  ["SQL by ts_stat", "select * from ts_stat('select to_tsvector(rolname) from pg_authid')", "42501"],
  ["reloading its configuration", "select pg_reload_conf()", "42501"],
  ["switching the log", "select pg_switch_wal()", "42501"],
  ["sequences", "select nextval('analytics.alerts_id_seq')", "42501"],
  ["dropping chunks", "select drop_chunks('analytics.events', now())", "42501|25006"],
  ["a policy", "select add_retention_policy('analytics.events', interval '1 s')", "42501|25006"],
  ["stopping TimescaleDB's jobs", "select _timescaledb_functions.stop_background_workers()", "42501"],
  ["sleeping", "select pg_sleep(60)", "57014"],
  [
    "counting for ever",
    "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b, generate_series(1, 100000) c",
    "57014|53400",
  ],
  ["a regular expression that needs much memory", "select 'x' ~ '((((x{1,200}){1,200}){1,200}){1,100})'", "2201B"],
  [
    "a regular expression that needs much time",
    "select count(*) from generate_series(1, 100000) as n, generate_series(1, 100000) as m where repeat('a', 200 + (n + m) % 2) ~ '^(a|aa)*(a|aa)*\\1b'",
    "57014",
  ],
])("holds without the check: %s", async (_name, sql, code) => {
  const error = await run(sql).then(
    (answer) => expect.fail(`it answered ${JSON.stringify(answer)}`),
    (error) => error,
  );
  expect(error.code, error.message).toMatch(new RegExp(`^(${code})$`));
});

/** What a query must not change. */
async function fingerprint(): Promise<unknown> {
  const [found] = await db.sql`
    select
      (select count(*)::integer from analytics.events) as events,
      (select md5(string_agg(r::text, ' ' order by id)) from analytics.alert_rules as r) as rules,
      (select count(*)::integer from analytics.silences) as silences,
      (select md5(string_agg(oid::text || relacl::text || relname, ' ' order by oid)) from pg_class) as relations,
      (select count(*)::integer from pg_largeobject_metadata) as large_objects,
      (select count(*)::integer from pg_proc) as functions,
      (select md5(string_agg(pg_roles::text, ' ' order by rolname)) from pg_roles where rolname like 'stacklens%') as roles,
      (select count(*)::integer from pg_locks where locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())) as locks,
      (select count(*)::integer from _timescaledb_config.bgw_job) as jobs`;
  return found;
}

test("whatever runs leaves nothing behind, in the database or in its session", async () => {
  const before = await fingerprint();
  // The embedded database lists the prepared statements of all its clients; they come and go while this runs.
  const prepared =
    testServers().database === "embedded" ? "0" : "(select count(*) from pg_prepared_statements where name <> '')";
  const clean = `select array_agg(name || '=' || setting order by name), current_user, session_user,
    ${prepared}, (select count(*) from pg_cursors where name <> 'adhoc')
    from pg_settings where name !~ '^(in_hot_standby|transaction_|pg_stat)'`;
  await run("select count(*) from analytics.metrics('one_minute')"); // PL/pgSQL brings settings of its own when first used
  const { rows: settings } = await run(clean);
  for (const [, sql] of ESCAPES) if (!/pg_sleep/.test(sql)) await run(sql).catch(() => {});
  for (const sql of [
    "select set_config('statement_timeout', '0', false), set_config('search_path', 'pg_temp', false)",
    "select set_config('my.secret', 'x', false)",
    "select pg_advisory_lock(7), pg_advisory_lock_shared(8)",
    "select pg_notify('alerts', 'x')",
    "select lo_create(0)",
    "select query_to_xml('select set_config(''work_mem'', ''1GB'', false)', true, true, '')",
  ])
    await run(sql).catch(() => {});
  expect(await fingerprint()).toEqual(before);
  expect((await run(clean)).rows).toEqual(settings);
  const { rows: secret } = await run("select current_setting('my.secret', true)");
  expect([null, ""]).toContain(secret[0]![0]); // empty where the session has heard the name
  // Both connections were there all the time, or new ones are like them.
  expect(pool.totalCount).toBeLessThanOrEqual(2);
}, 60_000);

test("other sessions cannot be ended", async (context) => {
  if (testServers().database === "embedded") context.skip("the embedded database has one process");
  const [{ pid }] = (await db.sql`select pg_backend_pid() as pid`) as unknown as [{ pid: number }];
  for (const call of ["pg_terminate_backend", "pg_cancel_backend"])
    await expect(run(`select ${call}(${pid})`)).rejects.toMatchObject({ code: "42501" });
});

test("other sessions show nothing", async () => {
  const { rows } = await run("select query from pg_stat_activity where usename <> current_user and query <> ''", 1000);
  expect(rows.filter(([query]) => query !== "<insufficient privilege>")).toEqual([]);
});

test("an answer is bounded in rows, and says that there is more", async () => {
  expect(await run("select * from generate_series(1, 1000000) as n", 3)).toMatchObject({
    rows: [[1], [2], [3]],
    truncated: true,
  });
  expect(await run("select 1", 1)).toMatchObject({ rows: [[1]], truncated: false });
  const endless = "with recursive r (n) as (select 1 union all select n + 1 from r) select n from r";
  expect((await run(endless, 1000)).rows).toHaveLength(1000);
});

test("an answer is bounded in bytes, in one value or in many, and the next query works", async () => {
  for (const sql of [
    "select repeat('x', 50000000)",
    "select repeat('x', 10000) from generate_series(1, 1000)",
    "select array_agg(n) from generate_series(1, 1000000) as n",
  ])
    await expect(run(sql, 1000)).rejects.toMatchObject({ code: "RESULT_TOO_LARGE" });
  expect(await run("select 1")).toMatchObject({ rows: [[1]] });
});

test("memory for sorting is bounded, and what goes to disk", async (context) => {
  const { rows } = await run("select current_setting('temp_file_limit')");
  if (rows[0]![0] === "-1") context.skip("this server has no temp_file_limit for a role");
  await expect(run("select n from generate_series(1, 30000000) as n order by md5(n::text)")).rejects.toMatchObject({
    code: expect.stringMatching("53400|57014"),
  });
});

test("another login is not used", async () => {
  const owner = adhocPool(db.url);
  const refusal = (pool: pg.Pool) => execute(pool, "select 1", 1).catch((error) => error);
  try {
    expect(await refusal(owner)).toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("ad-hoc queries are off"),
    });
  } finally {
    await owner.end();
  }
});
