import { copyFileSync, cpSync, existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { failure, limit, startServer, temporaryDirectory } from "./server.ts";

let server: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

/** A directory that needs no initdb, which takes seconds. */
function withoutDatabases(): string {
  const directory = temporaryDirectory();
  const pristine = join("databases", "template1");
  cpSync(join(server.directory, pristine), join(directory, pristine), { recursive: true });
  return directory;
}

test("a new database has no extension, takes TimescaleDB, and knows its own name", async () => {
  await server.psql('create database "Näme ""1"""', "postgres");
  const answers = await server.psql(
    "select current_database(); select count(*) from pg_extension where extname = 'timescaledb';" +
      'create extension if not exists timescaledb; show timescaledb.license; grant connect on database "Näme ""1""" to postgres',
    encodeURIComponent('Näme "1"'),
  );
  expect(answers).toBe('Näme "1"\n0\ntimescale');
});

test("a copy has all that its template had, and then goes its own way", async () => {
  await server.psql(`create extension if not exists timescaledb; create table t (time timestamptz not null, v int);
    select create_hypertable('t', 'time'); insert into t select now() - n * interval '1 hour', n from generate_series(1, 100) n;
    create materialized view m with (timescaledb.continuous) as
      select time_bucket('1 day', time) as day, count(*) as n from t group by 1 with no data;
    call refresh_continuous_aggregate('m', null, now())`);
  await server.psql("create database copy template stacklens", "postgres");
  expect(await server.psql("select sum(v), (select sum(n) > 70 from m) from t", "copy")).toBe("5050|t");
  await server.psql("insert into t values (now(), 1000)", "copy");
  expect(await server.psql("select sum(v) from t", "copy")).toBe("6050");
  expect(await server.psql("select sum(v) from t")).toBe("5050");
  expect((await failure(server.psql("create database copy", "postgres"))).message).toMatch("already exists");
  expect((await failure(server.psql("create database x template nothing", "postgres"))).message).toMatch(
    "does not exist",
  );
});

test("every database lists all of them, and what is dropped is gone from the disk", async () => {
  await server.psql("create database short", "postgres");
  const list = "select string_agg(datname, ' ' order by datname) from pg_database where datname !~ 'N|copy'";
  expect(await server.psql(list)).toBe("postgres short stacklens template1");
  expect(await server.psql(list, "postgres")).toBe("postgres short stacklens template1");
  const client = await server.client("short");
  expect((await failure(server.psql("drop database short", "postgres"))).message).toMatch("accessed by other users");
  const ended = new Promise<Error & { code?: string }>((resolve) => client.once("error", resolve));
  await server.psql("drop database short with (force)", "postgres");
  expect((await ended).code).toBe("57P01");
  await server.psql("drop database if exists short", "postgres");
  expect((await failure(server.psql("drop database short", "postgres"))).message).toMatch("does not exist");
  expect((await failure(server.psql("begin; drop database copy", "postgres"))).message).toMatch("transaction block");
  expect(await server.psql(list, "postgres")).toBe("postgres stacklens template1");
  expect(readdirSync(join(server.directory, "databases")).filter((name) => /short|%un/.test(name))).toEqual([]);
});

test("kill -9 under load loses no committed row, again and again", async () => {
  const directory = withoutDatabases();
  let victim = await startServer(directory);
  await victim.psql("create table kept (n int primary key, padding text)");
  let confirmed = 0;
  for (let round = 0; round < 3; round++) {
    const sql = victim.connect();
    const writing = (async () => {
      for (let n = confirmed + 1; ; n++) {
        await sql`insert into kept values (${n}, repeat('x', 500))`;
        confirmed = n;
      }
    })().catch(() => {});
    const goal = confirmed + 40 * (round + 1);
    while (confirmed < goal) await setTimeout(3);
    await victim.stop("SIGKILL");
    await writing;
    await sql.end({ timeout: 0 }).catch(() => {});
    victim = await startServer(directory);
    const [rows, last] = (await victim.psql("select count(*), max(n) from kept")).split("|").map(Number);
    expect(rows).toBe(last);
    expect(last).toBeGreaterThanOrEqual(confirmed);
    expect(last).toBeLessThanOrEqual(confirmed + 1);
    confirmed = last!;
  }
  expect(confirmed).toBeGreaterThan(100);
  await victim.stop();
});

test("a busy directory, a busy port and a damaged directory are one line each, with the remedy", async () => {
  expect((await failure(startServer(server.directory))).message).toMatch(
    /^local database: \S+ is in use by process \d+; .*$/,
  );
  const directory = withoutDatabases();
  const other = await startServer(directory);
  await other.stop();
  expect((await failure(startServer(directory, server.port))).message).toMatch(
    /^local database: port \d+ .* is in use; .*$/,
  );
  const database = join(directory, "databases", "stacklens");
  const damaged = /^local database: \S+stacklens is damaged \(.+\); put a copy in its place, or remove it .*$/;
  rmSync(join(database, "PG_VERSION"));
  expect((await failure(startServer(directory))).message).toMatch(damaged);
  copyFileSync(join(directory, "databases", "template1", "PG_VERSION"), join(database, "PG_VERSION"));
  rmSync(join(database, "pg_wal"), { recursive: true });
  expect((await failure(startServer(directory))).message).toMatch(damaged);
  rmSync(join(database, "global", "pg_control"));
  expect((await failure(startServer(directory))).message).toMatch(damaged);
});

test("a signal ends it within two seconds, whatever its clients do, and the directory is free again", async () => {
  const ending = await startServer(withoutDatabases());
  const [busy, idle] = [await ending.client(), await ending.client()];
  const failed = failure(busy.query("select pg_sleep(60)"));
  void idle.query("begin").catch(() => {});
  await setTimeout(100);
  const before = performance.now();
  await ending.stop("SIGINT");
  expect(performance.now() - before).toBeLessThan(limit(2000));
  expect((await failed).message).toMatch(/terminat|cancel/i);
  expect(existsSync(join(ending.directory, "lock"))).toBe(false);
});
