import { afterAll, beforeAll, expect, test } from "vitest";
import { failure, type Server, sharedServer } from "./server.ts";

let server: Server;
beforeAll(async () => {
  server = await sharedServer();
  await server.psql(`
    create role plain login; create role team; create role locked; grant team to plain;
    create table secret (a int); create table shared (a int); grant select on shared to team;
    alter role plain set statement_timeout to '300ms'; alter role plain set my.given to 'by role';
    create role single login connection limit 1`);
});
afterAll(() => server.stop());

test.each([
  "set role postgres",
  "set session authorization postgres",
  "set session authorization default; select * from secret",
  "reset session authorization; select * from secret",
  "reset role; select * from secret",
  "reset all; select * from secret",
  "discard all; select * from secret",
  "select set_config('role', 'postgres', false)",
  "select set_config('session_authorization', 'postgres', false)",
  "do $$begin execute 'set session authorization postgres';end$$",
  "begin; set local session authorization default; select * from secret",
  "alter role plain superuser",
  "set allow_system_table_mods to on",
  "copy (select 1) to program 'true'",
])("an unprivileged login cannot become the superuser by %s", async (attempt) => {
  const client = await server.client(undefined, "plain");
  for (const statement of attempt.split("; ").slice(0, -1)) await client.query(statement).catch(() => {});
  expect((await failure(client.query(attempt.split("; ").at(-1)!))).code).toMatch(/42501|25001/);
  await client.query("rollback");
  expect((await client.query("select current_user::text as is, session_user::text as was")).rows).toEqual([
    { is: "plain", was: "plain" },
  ]);
  expect((await failure(client.query("select * from secret"))).code).toBe("42501");
  await client.end();
});

test("a role is switched to as far as it is a member, beside other clients, and back", async () => {
  const [plain, root] = [await server.client(undefined, "plain"), await server.client()];
  for (let i = 0; i < 3; i++) {
    await plain.query("set role team");
    expect((await root.query("select current_user::text as who")).rows).toEqual([{ who: "postgres" }]);
    expect((await plain.query("select current_user::text as who")).rows).toEqual([{ who: "team" }]);
    expect((await plain.query("select * from shared")).rows).toEqual([]);
    await root.query("select * from secret");
    await plain.query("reset role");
    expect((await plain.query("select current_user::text as who")).rows).toEqual([{ who: "plain" }]);
  }
});

test("the superuser's own SET SESSION AUTHORIZATION lasts over turns and ends with RESET", async () => {
  const [one, other] = [await server.client(), await server.client()];
  await one.query("set session authorization plain");
  await other.query("select 1");
  expect((await one.query("select session_user::text as who")).rows).toEqual([{ who: "plain" }]);
  expect((await failure(one.query("select * from secret"))).code).toBe("42501");
  await one.query("reset session authorization");
  await other.query("select 1");
  expect((await one.query("select session_user::text as who")).rows).toEqual([{ who: "postgres" }]);
});

test("settings and the connection limit of a role hold, and who may not log in does not", async () => {
  const client = await server.client(undefined, "plain");
  expect((await client.query("show statement_timeout")).rows).toEqual([{ statement_timeout: "300ms" }]);
  expect((await client.query("show my.given")).rows).toEqual([{ "my.given": "by role" }]);
  await client.query("discard all");
  await server.psql("select 1");
  expect((await client.query("show statement_timeout")).rows).toEqual([{ statement_timeout: "300ms" }]);
  expect((await failure(client.query("select pg_sleep(5)"))).code).toBe("57014");

  await server.client(undefined, "single");
  expect((await failure(server.client(undefined, "single"))).code).toBe("53300");
  expect((await failure(server.client(undefined, "locked"))).code).toBe("28000");
  expect((await failure(server.client(undefined, "stranger"))).code).toBe("28000");
  expect((await failure(server.client("nowhere"))).code).toBe("3D000");
});

test("databases are made and dropped by those who may", async () => {
  const client = await server.client(undefined, "plain");
  expect((await failure(client.query("create database plain"))).code).toBe("42501");
  expect((await failure(client.query("drop database postgres"))).code).toBe("42501");
  await server.psql("alter role team createdb");
  await client.query("set role team");
  const name = `by_team_${process.pid}`;
  await client.query(`create database ${name}`);
  await client.query(`drop database ${name}`);
});
