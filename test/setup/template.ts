// The migrated database that every test file gets a copy of.

import { connect, type Sql } from "../../src/db.ts";
import { migrate } from "../../tools/migrate.ts";

const PREFIX = "stacklens_test_";
const STALE_MS = 2 * 3_600_000; // a run that was killed leaves its databases; the next one takes them away

/** Creates and migrates a template on a server; the answer is its name. */
export async function makeTemplate(server: string): Promise<string> {
  const template = `${PREFIX}${Date.now().toString(36)}_${process.pid}`;
  await withServer(server, async (admin) => {
    await dropStale(admin);
    await admin.unsafe(`create database "${template}"`);
  });

  const url = urlOf(server, template);
  await migrate(url, { current: true });

  const sql = connect(url, "stacklens test template", 1);
  const scheduler = await hasScheduler(sql);
  await sql`select alter_job(job_id, scheduled => false) from timescaledb_information.jobs`;
  // TimescaleDB's scheduler sits in each database of a server, and nobody can copy a database that somebody is connected to.
  if (scheduler) await sql`select _timescaledb_functions.stop_background_workers()`;
  // The job of the roll-ups is due at once, and may have run before it was stopped. It leaves a trace in this column only: rows
  // that a test inserts without the ingester would count as rolled up if they are older.
  await sql`update internal.rollups set refreshed_until = null`;
  await sql.end();
  // Without this the launcher sends a new scheduler within a minute.
  if (scheduler)
    await withServer(server, (admin) => admin.unsafe(`alter database "${template}" allow_connections false`));
  return template;
}

/** Drops a template and the copies that test files left. */
export async function dropTemplate(server: string, template: string): Promise<void> {
  await withServer(server, async (admin) => {
    for (const { datname } of await admin`select datname from pg_database where starts_with(datname, ${template})`)
      await admin.unsafe(`drop database if exists "${datname}" with (force)`);
  });
}

/** Copies a template; the answer is the connection string of the copy. */
export async function copyTemplate(server: string, template: string, copy: string): Promise<string> {
  await withServer(server, (admin) => admin.unsafe(`create database "${copy}" template "${template}"`));
  return urlOf(server, copy);
}

/** Drops the database that a connection string names, whoever is connected. */
export async function dropDatabase(server: string, url: string): Promise<void> {
  const database = new URL(url).pathname.slice(1);
  await withServer(server, (admin) => admin.unsafe(`drop database if exists "${database}" with (force)`));
}

/** Has the jobs of a copy run from now on, and not only when the server's launcher comes round, which is each minute. */
export async function startScheduler(sql: Sql): Promise<void> {
  if (await hasScheduler(sql)) await sql`select _timescaledb_functions.start_background_workers()`;
}

/** Whether TimescaleDB's own background workers run the jobs. The embedded database runs them otherwise. */
async function hasScheduler(sql: Sql): Promise<boolean> {
  const [server] = await sql`select current_setting('shared_preload_libraries', true) ~ 'timescaledb' as scheduler`;
  return server!.scheduler === true;
}

async function dropStale(admin: Sql): Promise<void> {
  for (const { datname } of await admin`select datname from pg_database where starts_with(datname, ${PREFIX})`) {
    const made = Number.parseInt(datname.slice(PREFIX.length), 36);
    if (made < Date.now() - STALE_MS) await admin.unsafe(`drop database if exists "${datname}" with (force)`);
  }
}

async function withServer<T>(server: string, run: (admin: Sql) => Promise<T>): Promise<T> {
  const admin = connect(server, "stacklens test admin", 1);
  try {
    return await run(admin);
  } finally {
    await admin.end();
  }
}

function urlOf(server: string, database: string): string {
  const url = new URL(server);
  url.pathname = `/${database}`;
  return url.href;
}
