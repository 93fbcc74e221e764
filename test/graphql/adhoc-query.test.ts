// The field: who may ask, what it answers, what an error looks like. What may be asked is in test/adhoc.

import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { execute, hookArgs } from "postgraphile/grafast";
import { parse } from "postgraphile/graphql";
import { afterAll, beforeAll, expect, test } from "vitest";
import preset from "../../graphile.config.ts";
import { type AdhocQueries, adhocQueries } from "../../src/adhoc/queries.ts";
import { maskError } from "../../src/graphql/errors.ts";
import { graphqlPool } from "../../src/server/pool.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { type Answer, type Api, post, startApi } from "./api.ts";

let db: TestDatabase;
let api: Api;
let adhoc: AdhocQueries;
let pool: ReturnType<typeof graphqlPool>;
let instance: ReturnType<typeof postgraphile>;

beforeAll(async () => {
  db = await testDatabase();
  api = await startApi(db.url);
  adhoc = adhocQueries(db.url);
  pool = graphqlPool(db.url);
  instance = postgraphile({
    extends: [preset],
    pgServices: [makePgService({ pool, schemas: ["analytics"], pubsub: false })],
    schema: { adhocQueries: adhoc },
  });
});
afterAll(async () => {
  await instance.release();
  await pool.end();
  await adhoc.close();
  await api.stop();
  await db.drop();
});

/** As a request whose token says this role. */
async function ask(role: string | undefined, source: string, variableValues = {}): Promise<Answer> {
  const { schema, resolvedPreset } = await instance.getSchemaResult();
  const args = await hookArgs({ schema, document: parse(source), variableValues, resolvedPreset, requestContext: {} });
  args.contextValue = { ...(args.contextValue as object), pgSettings: role ? { role } : {} } as Grafast.Context;
  const { data, errors } = (await execute(args)) as Awaited<ReturnType<typeof execute>> & Answer;
  return { status: 200, data, ...(errors && { errors: errors.map((error) => maskError(error as never)) as never }) };
}

const QUERY = `query ($sql: String!, $maxRows: Int) {
  adhocQuery(sql: $sql, maxRows: $maxRows) { columns { name type } rows truncated }
}`;

test("without a token nobody asks", async () => {
  const { data, errors } = await post(api.url, { query: QUERY, variables: { sql: "select 1" } });
  expect(data).toEqual({ adhocQuery: null });
  expect(errors).toMatchObject([
    { message: expect.stringContaining("adhocQuery is for operators"), extensions: { code: "FORBIDDEN" } },
  ]);
});

test.each([undefined, "stacklens_viewer", "stacklens_adhoc", "postgres", "STACKLENS_OPERATOR"])(
  "nor does the role %s",
  async (role) => {
    const { errors } = await ask(role, QUERY, { sql: "select 1" });
    expect(errors).toMatchObject([{ extensions: { code: "FORBIDDEN" } }]);
  },
);

test("an operator gets columns and rows", async () => {
  const { data, errors } = await ask("stacklens_operator", QUERY, {
    sql: "select id, threshold, labels, threshold from alert_rules where id like 'high%' order by id",
  });
  expect(errors).toBeUndefined();
  expect(data.adhocQuery).toEqual({
    columns: [
      { name: "id", type: "text" },
      { name: "threshold", type: "double precision" },
      { name: "labels", type: "jsonb" },
      { name: "threshold", type: "double precision" },
    ],
    rows: [
      ["high_error_rate", 5, {}, 5],
      ["high_p99_latency", 500, {}, 500],
    ],
    truncated: false,
  });
});

test("100 rows unless asked otherwise, 1000 at most", async () => {
  const sql = "select * from generate_series(1, 2000)";
  const rows = async (maxRows?: number) => (await ask("stacklens_operator", QUERY, { sql, maxRows })).data.adhocQuery;
  expect((await rows()).rows).toHaveLength(100);
  expect(await rows(1)).toMatchObject({ rows: [[1]], truncated: true });
  expect((await rows(1000)).rows).toHaveLength(1000);
  for (const maxRows of [0, -1, 1001])
    expect((await ask("stacklens_operator", QUERY, { sql, maxRows })).errors).toMatchObject([
      { message: `maxRows is ${maxRows}: use 1 to 1000`, extensions: { code: "BAD_REQUEST" } },
    ]);
});

test("what is refused says why, and two fields of one request each have their own answer", async () => {
  const { data, errors } = await ask(
    "stacklens_operator",
    `{
      bad: adhocQuery(sql: "delete from events") { rows }
      wrong: adhocQuery(sql: "select latency from events") { rows }
      good: adhocQuery(sql: "select 1") { rows }
    }`,
  );
  expect(data).toMatchObject({ bad: null, wrong: null, good: { rows: [[1]] } });
  const said = errors!.map(({ message, extensions }) => `${extensions!.code} ${message}`).sort();
  expect(said).toEqual([
    expect.stringContaining('BAD_REQUEST column "latency" does not exist'),
    "BAD_REQUEST only SELECT is answered, not DELETE",
  ]);
});
