// The check that sql/ is what the database has: it must notice each kind of difference, and nothing else.

import { afterAll, beforeAll, expect, test } from "vitest";
import { differences, readSqlFile } from "../../../tools/check/sql-files.ts";
import { type TestDatabase, testDatabase } from "../../setup/services.ts";

let db: TestDatabase;
let found: string[]; // before any change: nothing, or what the catalog test complains about
beforeAll(async () => {
  db = await testDatabase();
  found = await differences(db.sql);
});
afterAll(() => db.drop());

const ERROR_RATE = "internal.error_rate(failed bigint, total bigint) returns double precision language sql";

test.each([
  {
    kind: "the body of a function",
    change: `create or replace function ${ERROR_RATE} immutable parallel safe return 1.0::double precision`,
    file: "functions/internal/error_rate.sql",
    finds: /^internal\.error_rate\(bigint,bigint\) differs: the file says " ?RETURN .*100/,
  },
  {
    kind: "an attribute of a function",
    change: "alter function internal.error_rate parallel unsafe",
    file: "functions/internal/error_rate.sql",
    finds:
      /^internal\.error_rate\(bigint,bigint\) differs: the file says " IMMUTABLE PARALLEL SAFE", the database " IMMUTABLE"/,
  },
  {
    kind: "a comment",
    change: "comment on function internal.error_rate is 'something else'",
    file: "functions/internal/error_rate.sql",
    finds: /^internal\.error_rate\(bigint,bigint\) differs: .*the database "comment: something else"/,
  },
  {
    kind: "a right that sql/roles/grants.sql does not give",
    change: "grant execute on function internal.error_rate to public",
    file: "functions/internal/error_rate.sql",
    finds: /^internal\.error_rate\(bigint,bigint\) differs: the file says "grants: .*, the database "grants: =X/,
    restore: "revoke execute on function internal.error_rate from public",
  },
  {
    kind: "a part of an aggregate",
    change:
      "create or replace aggregate internal.histogram_sum(integer[]) (sfunc = internal.histogram_add, stype = integer[], parallel = safe)",
    file: "functions/internal/histogram_sum.sql",
    finds: /^internal\.histogram_sum\(integer\[\]\) differs: .* the database ".*aggcombinefn.*-/,
  },
  {
    kind: "the comment of a view's column",
    change: "comment on column analytics.top_error_services.rank is null",
    file: "views/top_error_services.sql",
    finds: /^analytics\.top_error_services differs: the file says "column rank: /,
  },
  {
    kind: "a view that is not there",
    change: "drop view analytics.top_error_services",
    file: "views/top_error_services.sql",
    finds: /^analytics\.top_error_services is in a file under sql\/, but not in the migrated database$/,
  },
  {
    kind: "a file that cannot run",
    change: "alter view analytics.top_error_services rename column rank to place",
    file: "views/top_error_services.sql",
    finds: /^sql\/views\/top_error_services\.sql does not run on the migrated database: .*\(42P16\)$/,
    restore: "alter view analytics.top_error_services rename column place to rank",
  },
])("notices $kind", async ({ change, file, finds, restore }) => {
  await db.sql.unsafe(change);

  const now = await differences(db.sql);

  await db.sql.unsafe(restore ?? readSqlFile(file));
  expect(now.filter((difference) => !found.includes(difference))).toEqual([expect.stringMatching(finds)]);
});

test("changes nothing by looking", async () => {
  await db.sql.unsafe("comment on function internal.error_rate is 'something else'");
  await differences(db.sql);
  expect(await db.sql`select obj_description('internal.error_rate'::regproc) as comment`).toEqual([
    { comment: "something else" },
  ]);
});
