// What the catalog says about the whole schema: the rules of the house that hold for every object, the ones of tomorrow included.

import { createRequire } from "node:module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { differences, readSqlFile, sqlFiles } from "../tools/check/sql-files.ts";
import { type TestDatabase, testDatabase } from "./setup/services.ts";

const SCHEMAS = ["analytics", "internal", "alert_metrics"];

/** Columns of analytics whose name and type say all. The others have a unit, a range or an origin to state. */
const SPEAKING_COLUMNS = ["id", "created_at", "updated_at", "received_at", "partition", "offset", "version", "enabled"];

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

/** The first column of a query that lists offenders. `schemas` is at hand as $1. */
async function offenders(query: string): Promise<string[]> {
  const rows = await db.sql.unsafe(query, [SCHEMAS]).values();
  return rows.map(([offender]) => String(offender));
}

describe("functions", () => {
  test("that are security definers pin their search_path and are not for everybody", async () => {
    expect(
      await offenders(`
        select oid::regprocedure from pg_proc
        where pronamespace = any ($1::text[]::regnamespace[]) and prosecdef
          and (
            not exists (select from unnest(proconfig) as setting where setting ~ '^search_path=pg_catalog(, pg_temp)?$')
            or exists (select from aclexplode(coalesce(proacl, acldefault('f', proowner))) where grantee = 0)
          )`),
    ).toEqual([]);
  });

  test("bind their names when they are created, or pin their search_path", async () => {
    // A procedure that commits cannot have settings of its own.
    expect(
      await offenders(`
        select p.oid::regprocedure from pg_proc as p join pg_language as l on l.oid = prolang
        where pronamespace = any ($1::text[]::regnamespace[]) and lanname in ('sql', 'plpgsql') and prosqlbody is null
          and not exists (select from unnest(proconfig) as setting where setting ~ '^search_path=pg_catalog, pg_temp$')
          and not (prokind = 'p' and prosrc ~ '\\mcommit;')`),
    ).toEqual([]);
  });

  test("have a file named after them, in the folder of their schema", async () => {
    const owned = await offenders(`
      select format('functions/%s/%s.sql', pronamespace::regnamespace, proname)
      from pg_proc where pronamespace = any ($1::text[]::regnamespace[])`);
    const files = sqlFiles();
    expect(owned.filter((file) => !files.includes(file))).toEqual([]);
  });
});

describe("comments", () => {
  test.each([
    [
      "schemas",
      "select nspname from pg_namespace where nspname = any ($1) and obj_description(oid, 'pg_namespace') is null",
    ],
    [
      "tables, views and composite types",
      `select oid::regclass from pg_class
       where relnamespace = any ($1::text[]::regnamespace[]) and relkind in ('r', 'p', 'v', 'm', 'c')
         and obj_description(oid, 'pg_class') is null
         and obj_description(reltype, 'pg_type') is null`,
    ],
    [
      "enums and domains",
      `select oid::regtype from pg_type
       where typnamespace = any ($1::text[]::regnamespace[]) and typtype in ('e', 'd') and obj_description(oid, 'pg_type') is null`,
    ],
    [
      "functions, procedures and aggregates",
      `select oid::regprocedure from pg_proc
       where pronamespace = any ($1::text[]::regnamespace[]) and obj_description(oid, 'pg_proc') is null`,
    ],
  ])("are on all %s", async (_kind, query) => {
    expect(await offenders(query)).toEqual([]);
  });

  test("are on all columns of analytics that have a unit, a range or an origin", async () => {
    const columns = await db.sql`
      select attrelid::regclass::text || '.' || attname as column
      from pg_attribute
      join pg_class as c on c.oid = attrelid
      where relnamespace = 'analytics'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'c')
        and attnum > 0 and not attisdropped
        and atttypid <> all ('{text,inet}'::regtype[]::oid[])
        and attname <> all (${SPEAKING_COLUMNS})
        and col_description(attrelid, attnum) is null`;
    expect(columns.map(({ column }) => column)).toEqual([]);
  });
});

describe("tables and columns", () => {
  test("have an index under every foreign key", async () => {
    expect(
      await offenders(`
        select conrelid::regclass || ': ' || pg_get_constraintdef(c.oid) from pg_constraint as c
        where connamespace = any ($1::text[]::regnamespace[]) and contype = 'f'
          and not exists (
            select from pg_index
            where indrelid = conrelid and indpred is null
              and (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey and indkey[0] = any (conkey)
          )`),
    ).toEqual([]);
  });

  test("are of types that keep what they are given: timestamptz, text, identity", async () => {
    expect(
      await offenders(`
        select attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod) from pg_attribute
        join pg_class as c on c.oid = attrelid
        left join pg_attrdef as d on adrelid = attrelid and adnum = attnum
        where relnamespace = any ($1::text[]::regnamespace[]) and relkind in ('r', 'p', 'v', 'm', 'c') and attnum > 0
          and (
            atttypid in ('timestamp'::regtype, 'timetz'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'money'::regtype)
            or pg_get_expr(adbin, adrelid) ~ '^nextval'
          )`),
    ).toEqual([]);
    expect(
      await offenders(`
        select oid::regprocedure from pg_proc
        where pronamespace = any ($1::text[]::regnamespace[])
          and coalesce(proallargtypes, proargtypes::oid[]) || prorettype && array['timestamp'::regtype, 'timetz'::regtype, 'money'::regtype]::oid[]`),
    ).toEqual([]);
  });
});

describe("the files under sql/", () => {
  const minify = createRequire(import.meta.resolve("graphile-migrate"))("pg-minify") as (sql: string) => string;
  const minifies = (text: string) => {
    try {
      return minify(text) !== "";
    } catch {
      return false;
    }
  };

  test("are what the migrated database has", async () => {
    expect(await differences(db.sql)).toEqual([]);
  });

  test("have one object each, named after it", () => {
    // What is for roles belongs to no schema.
    const objects = sqlFiles().filter((file) => !file.startsWith("roles/"));
    const wrong = objects.filter((file) => {
      const created = readSqlFile(file).matchAll(/create or replace (function|procedure|aggregate|view) (\w+)\.(\w+)/g);
      const files = [...created].map(([, kind, schema, name]) =>
        kind === "view" ? `views/${name}.sql` : `functions/${schema}/${name}.sql`,
      );
      return files.length !== 1 || files[0] !== file;
    });
    expect(wrong).toEqual([]);
  });

  test("state volatility and parallel safety of every function", () => {
    const silent = sqlFiles().filter((file) => {
      const text = readSqlFile(file);
      if (/create or replace aggregate/.test(text)) return !/\bparallel = (safe|restricted|unsafe)\b/.test(text);
      // A procedure and a view have neither, and no query calls a trigger.
      if (!/create or replace function/.test(text) || /^returns trigger$/m.test(text)) return false;
      return !/^(immutable|stable|volatile)$/m.test(text) || !/^parallel (safe|restricted|unsafe)$/m.test(text);
    });
    expect(silent).toEqual([]);
  });

  // graphile-migrate compares migrations by pg-minify, which does not know dollar quotes: an odd apostrophe in a body opens a
  // string there that ends anywhere or nowhere.
  test("have no odd apostrophe in a dollar-quoted body", () => {
    const odd = sqlFiles().filter((file) => {
      const text = readSqlFile(file);
      const bodies = text.matchAll(/\$(\w*)\$([\s\S]*?)\$\1\$/g);
      return [...bodies].some(([, , body]) => body!.split("'").length % 2 === 0) || !minifies(text);
    });
    expect(odd).toEqual([]);
  });
});
