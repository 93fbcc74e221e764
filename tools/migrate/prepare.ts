// What must be true before a migration runs: the database answers, it can hold the model, and Graphile Worker's schema is
// there, because the SQL of the migrations adds jobs.

import { setTimeout as sleep } from "node:timers/promises";
import { Logger, runMigrations } from "graphile-worker";
import { connect, type Sql } from "../../src/db.ts";
import { reason } from "../../src/log.ts";

const WAIT_MS = 10_000; // a server that starts beside us; a container takes some 5 s
const POSTGRES = 15;
const TIMESCALEDB = "2.22"; // the oldest that StackLens was run on

/** Error codes of a server that is not there yet, but may be in a moment. */
const NOT_YET = new Set(["ECONNREFUSED", "ECONNRESET", "CONNECTION_CLOSED", "CONNECT_TIMEOUT", "57P03", "EAI_AGAIN"]);

/** @throws Error whose message is one line: what is wrong with this database, and the remedy. */
export async function prepare(databaseUrl: string): Promise<void> {
  const sql = await reach(databaseUrl);
  try {
    await check(sql, name(databaseUrl));
  } finally {
    await sql.end();
  }
  await runMigrations({ connectionString: databaseUrl, logger: quiet });
}

async function reach(databaseUrl: string): Promise<Sql> {
  const until = Date.now() + WAIT_MS;
  for (;;) {
    const sql = connect(databaseUrl, "stacklens migrate", 1);
    try {
      await sql`select 1`;
      return sql;
    } catch (error) {
      await sql.end();
      const code = (error as { code?: string }).code ?? "";
      if (!NOT_YET.has(code) || Date.now() > until) throw new Error(unreachable(databaseUrl, error, code));
    }
    await sleep(250);
  }
}

function unreachable(databaseUrl: string, error: unknown, code: string): string {
  const { hostname, port } = new URL(databaseUrl);
  const remedy =
    code === "3D000"
      ? `create it: createdb ${name(databaseUrl)}`
      : code.startsWith("28")
        ? "check the user and the password in DATABASE_URL"
        : "start the database, or correct DATABASE_URL";
  return `no database at ${hostname}:${port || 5432}/${name(databaseUrl)}: ${reason(error) || code}; ${remedy}`;
}

async function check(sql: Sql, database: string): Promise<void> {
  const [server] = await sql`
    select
      current_setting('server_version_num')::integer / 10000 as postgres,
      (select default_version from pg_available_extensions where name = 'timescaledb') as timescaledb,
      exists (select from pg_settings where name like 'timescaledb.%') as loaded`;
  if (server!.postgres < POSTGRES)
    throw new Error(`the server is PostgreSQL ${server!.postgres}: StackLens needs ${POSTGRES} or newer`);
  if (server!.timescaledb === null)
    throw new Error(
      "the server has no TimescaleDB: install the Community edition (package timescaledb-2-postgresql-*, or the container image timescale/timescaledb)",
    );

  // Asked beforehand, because creating the extension would end the connection.
  if (!server!.loaded)
    throw new Error(
      "TimescaleDB is installed but not loaded: put shared_preload_libraries = 'timescaledb' into postgresql.conf and restart the server",
    );

  await sql`create extension if not exists timescaledb`.catch((error) => {
    throw new Error(
      `cannot create the extension: ${reason(error)}; as a superuser: psql ${database} -c "create extension timescaledb"`,
    );
  });

  const [extension] = await sql`
    select
      current_setting('timescaledb.license', true) as license,
      extversion as version,
      string_to_array(split_part(extversion, '-', 1), '.')::int[] >= string_to_array(${TIMESCALEDB}, '.')::int[] as recent
    from pg_extension where extname = 'timescaledb'`;
  if (!extension!.recent)
    throw new Error(
      `the database has TimescaleDB ${extension!.version}: StackLens needs ${TIMESCALEDB} or newer (alter extension timescaledb update)`,
    );
  if (extension!.license !== "timescale")
    throw new Error(
      `TimescaleDB's licence is "${extension!.license}": continuous aggregates need the Community edition (timescaledb.license = 'timescale')`,
    );
}

function name(databaseUrl: string): string {
  return decodeURIComponent(new URL(databaseUrl).pathname.slice(1));
}

const quiet = new Logger(() => () => {});
