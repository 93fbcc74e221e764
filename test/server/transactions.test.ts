// What runs in one round trip keeps what four gave: the settings hold for one transaction, and errors are the ones that matter.

import type { Pool } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { graphqlPool } from "../../src/server/pool.ts";
import { pipelined } from "../../src/server/transactions.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";

let db: TestDatabase;
let pool: Pool;
let withPgClient: Awaited<ReturnType<NonNullable<typeof service.adaptor>["createWithPgClient"]>>;
const service = { adaptor: {} } as GraphileConfig.PgServiceConfiguration;

beforeAll(async () => {
  db = await testDatabase();
  pool = graphqlPool(db.url);
  pool.options.max = 1; // so that each test meets what the one before has left
  withPgClient = await pipelined(service, pool).adaptor!.createWithPgClient(undefined);
});
afterAll(async () => {
  await pool.end();
  await db.drop();
});

const READS = { role: "stacklens_viewer", transaction_read_only: "on", "jwt.claims.sub": "ada 'x' \\" };

/** The rows of one statement. */
const query = async (settings: Record<string, string>, text: string, values: unknown[] = []) =>
  (await withPgClient(settings, (client) => client.query<unknown>({ text, values }))).rows;

/** As whom the connection is when nobody uses it. */
const atRest = async () =>
  (
    await pool.query(
      "select current_user = session_user as login, coalesce(current_setting('jwt.claims.sub', true), '') as sub",
    )
  ).rows[0];

test("a statement runs with the settings, and nothing of them is left", async () => {
  expect(
    await query(READS, "select current_user, current_setting('jwt.claims.sub') as sub, $1::int as value", [5]),
  ).toEqual([{ current_user: "stacklens_viewer", sub: READS["jwt.claims.sub"], value: 5 }]);
  expect(await atRest()).toEqual({ login: true, sub: "" });
});

test("a read cannot write", async () => {
  const write = "insert into analytics.silences (ends_at, reason) values ('infinity', 'x')";
  await expect(query({ ...READS, role: "stacklens_operator" }, write)).rejects.toMatchObject({ code: "25006" });
  expect(await query(READS, "select count(*)::int as silences from analytics.silences")).toEqual([{ silences: 0 }]);
});

test("what a write has done is committed when it answers", async () => {
  const settings = { ...READS, role: "stacklens_operator", transaction_read_only: "off" };
  await query(settings, "insert into analytics.silences (ends_at, reason) values ('infinity', 'x')");
  expect((await db.sql`select created_by from analytics.silences`)[0]).toEqual({ created_by: READS["jwt.claims.sub"] });
});

test("several statements of one callback are one transaction", async () => {
  const [first, second] = await withPgClient(READS, async (client) => [
    (await client.query<{ at: Date }>({ text: "select now() as at" })).rows[0],
    (await client.query<{ at: Date }>({ text: "select now() as at from pg_sleep(0.001)" })).rows[0],
  ]);
  expect(first).toEqual(second);
});

test("a statement that fails says why, also a prepared one, and the connection goes on", async () => {
  for (const name of [undefined, "fails", "fails"]) {
    const failing = withPgClient(READS, (client) => client.query({ text: "select 1 / 0", ...(name && { name }) }));
    await expect(failing).rejects.toMatchObject({ code: "22012" });
  }
  expect(await query(READS, "select 1 as one")).toEqual([{ one: 1 }]);
  expect(await atRest()).toEqual({ login: true, sub: "" });
});

test("settings that are refused are the error, and the statement gives nothing", async () => {
  await expect(query({ ...READS, role: "nobody_at_all" }, "select 1")).rejects.toMatchObject({
    message: expect.stringContaining("nobody_at_all"),
  });
  expect(await query(READS, "select 1 as one")).toEqual([{ one: 1 }]);
});

test("a callback that fails without a statement gives the connection back", async () => {
  await expect(withPgClient(READS, () => Promise.reject(new Error("ours")))).rejects.toThrow("ours");
  expect(await query(READS, "select 1 as one")).toEqual([{ one: 1 }]);
});
