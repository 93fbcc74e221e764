// schema.sql: what the migrations make, on one page, for reading and for seeing in a review what a migration changes.

import { readFileSync } from "node:fs";
import type { Sql } from "../../src/db.ts";

const OUTLINE = readFileSync(new URL("outline.sql", import.meta.url), "utf8");

/** The outline of a migrated database, the text of schema.sql. */
export async function outline(sql: Sql): Promise<string> {
  const objects = await sql.begin(async (sql) => {
    await sql`set local search_path = pg_catalog`; // so that every name of ours is written in full
    await sql`set local intervalstyle = postgres`;
    return sql.unsafe(OUTLINE) as Promise<{ text: string }[]>;
  });
  const head =
    "-- The schema as the migrations leave it, without bodies, which are in sql/.\n-- Written by `npm run check -- --write`; not for running.\n";
  return `${[head, ...objects.map(({ text }) => `${text}\n`)].join("\n")}`;
}
