// What operators ask, answered from real events; and the lists of names against what the database has.

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AdhocQueries, adhocQueries } from "../../src/adhoc/queries.ts";
import { FUNCTIONS, OPERATORS, RELATIONS, TYPES } from "../../src/adhoc/vocabulary.ts";
import { type TestDatabase, testDatabase, testServers } from "../setup/services.ts";
import { ago, insertEvents } from "../sql/events.ts";
import { SELECTS } from "./selects.ts";

let db: TestDatabase;
let adhoc: AdhocQueries;

beforeAll(async () => {
  db = await testDatabase();
  const now = new Date();
  await insertEvents(
    db.sql,
    Array.from({ length: 200 }, (_, index) => ({
      time: ago(now, 1 + index),
      service: index % 4 === 0 ? "billing" : "web",
      endpoint: index % 2 ? "/checkout" : "/",
      level: index % 5 === 0 ? ("error" as const) : ("info" as const),
      status_code: index % 5 === 0 ? 500 : 200,
      latency_ms: index,
      source_ip: `10.0.0.${index}`,
    })),
  );
  await db.sql`
    insert into analytics.events (time, service, level, attributes)
    values (now(), 'web', 'info', '{"cart": {"currency": "EUR", "items": ["a", "b"]}}')`;
  await db.sql`call internal.refresh_rollups()`;
  await db.sql`select analytics.evaluate_alert_rules(as_of => now())`;
  adhoc = adhocQueries(db.url);
});
afterAll(async () => {
  await adhoc.close();
  await db.drop();
});

test.each(SELECTS)("answers %s, as the owner gets it", async (_name, sql) => {
  const { columns, rows } = await adhoc.query(sql, 1000);
  const owner = await db.sql.begin(async (tx) => {
    await tx`set local search_path = analytics, public`;
    return tx.unsafe(sql).values();
  });
  expect(columns.length).toBe(owner.columns.length);
  expect(columns.map(({ name }) => name)).toEqual(owner.columns.map(({ name }) => name));
  expect(rows.length).toBe(owner.length);
  for (const row of rows) expect(row).toHaveLength(columns.length);
  expect(rows.length).toBeGreaterThan(0);
});

test("the examples of docs/adhoc.md are answered", async () => {
  const page = readFileSync("docs/adhoc.md", "utf8");
  const examples = [...page.matchAll(/^```sql\n((?:select|with) .*?)^```/gms)].map(([, sql]) => sql!);
  expect(examples).toHaveLength(3);
  for (const sql of examples) expect((await adhoc.query(sql, 100)).rows, sql).not.toEqual([]);
});

test("values are those of JSON where it has such, names may repeat, types have the names of Postgres", async () => {
  const { columns, rows } = await adhoc.query(
    `select 1 as a, 9007199254740993 as a, 1.50 as b, 'NaN'::float8 as c, true as d, null as e, array[1, null] as f, array['x"y', null] as g,
       '{"k": [1, "2"]}'::jsonb as h, timestamptz '2026-01-31 12:00:00.25+02' as i, timestamp '2026-01-31 12:00' as j, date '2026-01-31' as k,
       interval '90 min' as l, 'error'::event_level as m, '10.0.0.1'::inet as n, 'infinity'::timestamptz as o,
       array[timestamptz '2026-01-31 12:00:00Z'] as p, 1.5::numeric(5, 2) as q, array['info']::event_level[] as r, array[[1, 2], [3, 4]] as s`,
    1,
  );
  expect(rows).toEqual([
    [
      1,
      "9007199254740993",
      1.5,
      "NaN",
      true,
      null,
      [1, null],
      ['x"y', null],
      { k: [1, "2"] },
      "2026-01-31T10:00:00.25Z",
      "2026-01-31T12:00:00",
      "2026-01-31",
      "01:30:00",
      "error",
      "10.0.0.1",
      "infinity",
      ["2026-01-31T12:00:00Z"],
      1.5,
      ["info"],
      [
        [1, 2],
        [3, 4],
      ],
    ],
  ]);
  expect(columns.map(({ name }) => name).join("")).toBe("aabcdefghijklmnopqrs");
  expect(columns.slice(0, 5).map(({ type }) => type)).toEqual([
    "integer",
    "bigint",
    "numeric",
    "double precision",
    "boolean",
  ]);
  expect(columns[9]!.type).toBe("timestamp with time zone");
  expect(columns[17]!.type).toBe("numeric(5,2)");
});

test("an error of the query is said as Postgres says it, with its place", async () => {
  const refusal = (sql: string) => adhoc.query(sql, 1).catch((error) => error);
  expect(await refusal("select latency from events")).toMatchObject({
    code: "BAD_REQUEST",
    message: expect.stringMatching(/column "latency" does not exist.*\(character 8\)/),
  });
  expect(await refusal("select 'x'::integer")).toMatchObject({
    code: "BAD_REQUEST",
    message: expect.stringContaining('"x"'),
  });
  expect(await refusal("select 1 / 0")).toMatchObject({ code: "BAD_REQUEST", message: "division by zero" });
  expect(
    await refusal("select count(*) from generate_series(1, 100000) a, generate_series(1, 1000000) b"),
  ).toMatchObject({
    code: expect.stringMatching(/TIMEOUT|BAD_REQUEST/),
  });
});

test("two at a time; the third is told that it is busy", async () => {
  const slow = "select count(*) from generate_series(1, 10000) a, generate_series(1, 10000000) b";
  const answers = await Promise.allSettled(Array.from({ length: 4 }, () => adhoc.query(slow, 1)));
  const codes = answers.map((answer) => answer.status === "rejected" && answer.reason.code).sort();
  // The embedded database runs one at a time.
  expect(codes).toEqual([
    "BUSY",
    "BUSY",
    testServers().database === "embedded" ? expect.stringMatching(/BUSY|TIMEOUT/) : "TIMEOUT",
    "TIMEOUT",
  ]);
  expect((await adhoc.query("select 1", 1)).rows).toEqual([[1]]);
}, 30_000);

test("a login that cannot come in is told what is missing, and nothing breaks", async () => {
  const url = new URL(db.url);
  url.username = "stacklens_adhoc_that_is_not";
  const without = adhocQueries(db.url, url.href);
  try {
    await expect(without.query("select 1", 1)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringMatching(/ad-hoc queries are off: .*ADHOC_DATABASE_URL/),
    });
  } finally {
    await without.close();
  }
});

test("the relations and functions of the lists are those that the login may read", async () => {
  const relations = await db.sql`
    select relname from pg_class
    where relnamespace = 'analytics'::regnamespace and relkind in ('r', 'v', 'm') and has_table_privilege('stacklens_adhoc', oid, 'select')`;
  expect(relations.map(({ relname }) => relname).sort()).toEqual([...RELATIONS].sort());
  for (const name of FUNCTIONS.analytics!) {
    const [found] = await db.sql`
      select bool_and(has_function_privilege('stacklens_adhoc', oid, 'execute') and provolatile <> 'v') as ok
      from pg_proc where pronamespace = 'analytics'::regnamespace and proname = ${name}`;
    expect(found!.ok, name).toBe(true);
  }
});

test("the functions of the lists exist, and only what tells time or chance is volatile", async () => {
  const found = await db.sql<{ nspname: string; proname: string; volatile: boolean }[]>`
    select nspname, proname, bool_or(provolatile = 'v') as volatile
    from pg_proc join pg_namespace as n on n.oid = pronamespace
    where nspname in ('pg_catalog', 'public')
    group by nspname, proname`;
  const recent = ["any_value", "regexp_count", "regexp_like", "regexp_substr"]; // PostgreSQL 15 or 16
  const grammar = ["like_escape"];
  for (const schema of ["pg_catalog", "public"])
    for (const name of FUNCTIONS[schema]!) {
      const row = found.find(({ nspname, proname }) => nspname === schema && proname === name);
      if (recent.includes(name) || grammar.includes(name)) continue;
      expect(row, `${schema}.${name}`).toBeDefined();
      if (schema === "pg_catalog" && !["clock_timestamp", "random"].includes(name))
        expect(row!.volatile, name).toBe(false);
    }
});

test("the types and operators of the lists exist", async () => {
  for (const [schema, names] of Object.entries(TYPES))
    for (const name of names) {
      const [row] = await db.sql`select to_regtype(${`${schema}.${name}`}) is not null as found`;
      expect(row!.found, name).toBe(true);
    }
  const operators = new Set((await db.sql`select oprname from pg_operator`).map(({ oprname }) => oprname));
  for (const operator of OPERATORS) expect(operators.has(operator), operator).toBe(true);
});
