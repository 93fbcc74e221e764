// Whether the database has the committed migrations of this version of StackLens.

import { readdirSync } from "node:fs";
import type { Sql } from "../db.ts";

const COMMITTED = new URL("../../migrations/committed/", import.meta.url);
const REMEDY = "run `npm run migrate`";

/** Undefined when they are all there; else one line. A database that is newer than this program is fine. */
export async function missingMigrations(sql: Sql, folder = COMMITTED): Promise<string | undefined> {
  const ours = readdirSync(folder).filter((name) => name.endsWith(".sql"));
  const [there] = await sql<{ model: boolean; recorded: boolean }[]>`
    select
      to_regclass('analytics.events') is not null as model,
      to_regclass('graphile_migrate.migrations') is not null as recorded`;
  if (!there!.model) return `the database is not migrated: ${REMEDY}`;

  const theirs = there!.recorded
    ? await sql<{ filename: string }[]>`select filename from graphile_migrate.migrations`
    : [];
  // graphile-migrate records 000001.sql for the file 000001-data-model.sql.
  const number = (name: string) => name.slice(0, 6);
  const known = new Set(theirs.map(({ filename }) => number(filename)));
  const missing = ours.filter((name) => !known.has(number(name))).sort();
  return missing.length > 0
    ? `the database lacks ${missing.length} migrations, from ${missing[0]}: ${REMEDY}`
    : undefined;
}
