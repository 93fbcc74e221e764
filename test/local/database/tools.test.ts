import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import * as migrations from "graphile-migrate";
import { Logger, run } from "graphile-worker";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafast } from "postgraphile/grafast";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Server, sharedServer } from "./server.ts";

let server: Server;
beforeAll(async () => {
  server = await sharedServer();
});
afterAll(() => server.stop());

test("graphile-migrate: migrate, current, watch, commit and reset work, while another client goes on", async () => {
  const name = `${server.database}_migrated`;
  await server.psql(`create database ${name}; create database ${name}_shadow`, "postgres");
  const migrationsFolder = mkdtempSync(join(tmpdir(), "migrations-"));
  mkdirSync(join(migrationsFolder, "committed"));
  writeFileSync(join(migrationsFolder, "extension.sql"), "create extension if not exists timescaledb;");
  const current = (sql: string) => writeFileSync(join(migrationsFolder, "current.sql"), sql);
  const table = "drop table if exists t cascade; create table t (time timestamptz not null, n int);";
  const settings: migrations.Settings = {
    migrationsFolder,
    connectionString: server.url(name),
    shadowConnectionString: server.url(`${name}_shadow`),
    rootConnectionString: server.url("postgres"),
    afterReset: ["!extension.sql"],
    logger: new migrations.Logger(() => () => {}),
  };
  await server.psql("create extension timescaledb; create table elsewhere (n int)", name);
  const other = server.connect(name);
  let going = true;
  let written = 0;
  const writing = (async () => {
    for (; going; written++) await other`insert into elsewhere values (${written})`;
  })();

  await migrations.migrate(settings);
  current(`${table} select create_hypertable('t', 'time');
    grant connect on database :DATABASE_NAME to public;
    create materialized view m with (timescaledb.continuous) as
      select time_bucket('1 minute', time) as minute, count(*) as n from t group by 1 with no data;`);
  await migrations.current(settings);
  current(`${table} select create_hypertable('t', 'time'); alter table t add column later text;`);
  for (let i = 0; i < 3; i++) await migrations.watch(settings, true);
  expect(await server.psql("select count(*) from information_schema.columns where table_name = 't'", name)).toBe("3");
  current(`${table} select no_such_function();`);
  await expect(migrations.current(settings)).rejects.toThrow(/no_such_function/);
  expect(await server.psql("select count(*) from information_schema.columns where table_name = 't'", name)).toBe("3");
  current(`${table} select create_hypertable('t', 'time');`);
  await migrations.commit(settings, "first");
  going = false;
  await writing;
  expect(written).toBeGreaterThan(0);
  expect(await server.psql("select count(*), count(distinct n) from elsewhere", name)).toBe(`${written}|${written}`);

  await other.end();
  await setTimeout(300); // graphile-migrate keeps its connections for 200 ms
  await migrations.reset(settings);
  expect(readdirSync(join(migrationsFolder, "committed"))).toEqual(["000001-first.sql"]);
  expect(await server.psql("select hypertable_name from timescaledb_information.hypertables", name)).toBe("t");
  await setTimeout(300);
  await server.psql(`drop database ${name} with (force); drop database ${name}_shadow with (force)`, "postgres");
  rmSync(migrationsFolder, { recursive: true });
});

test("Graphile Worker, PostGraphile, postgres.js and psql work together", async () => {
  await server.psql(`create schema app; create table app.done (id int primary key, note text);
    create role visitor; grant usage on schema app to visitor; grant select on app.done to visitor`);
  const connectionString = server.url();
  const runner = await run({
    connectionString,
    concurrency: 3,
    pollInterval: 60_000, // so that only NOTIFY makes it quick
    noHandleSignals: true,
    logger: new Logger(() => () => {}),
    taskList: {
      note: async (payload, { query }) => {
        const { id } = payload as { id: number };
        await query("insert into app.done values ($1, $2)", [id, `by job ${id}`]);
      },
    },
  });
  const pgService = makePgService({ connectionString, schemas: ["app"] });
  const api = postgraphile({
    extends: [PostGraphileAmberPreset],
    pgServices: [pgService],
    grafast: { context: () => ({ pgSettings: { role: "visitor" } }) },
  });
  const { schema, resolvedPreset } = await api.getSchemaResult();
  const source = "{ allDones(condition: {}) { totalCount nodes { note } } }";
  const ask = async () => {
    const result = await grafast({ schema, source, resolvedPreset, requestContext: {} });
    if (!("data" in result)) throw new Error("not a result");
    if (result.errors) throw result.errors[0]!;
    return result.data as { allDones: { totalCount: number; nodes: { note: string }[] } };
  };
  const sql = server.connect(undefined, { max: 2 });
  const [asked] = await Promise.all([
    Promise.all(Array.from({ length: 10 }, ask)),
    ...Array.from({ length: 40 }, (_, id) => sql`select graphile_worker.add_job('note', ${sql.json({ id })}::json)`),
    server.psql("select graphile_worker.add_job('note', json_build_object('id', n)) from generate_series(40, 49) n"),
  ]);
  expect(asked.length).toBe(10);
  const until = Date.now() + 15_000;
  while ((await ask()).allDones.totalCount < 50 && Date.now() < until) await setTimeout(100);
  const { allDones } = await ask();
  expect(allDones.totalCount).toBe(50);
  expect(new Set(allDones.nodes.map(({ note }) => note))).toEqual(
    new Set(Array.from({ length: 50 }, (_, id) => `by job ${id}`)),
  );
  await runner.stop();
  await api.release();
  await pgService.release?.();
});
