// Whether every file under sql/ is what the migrated database has. A committed migration holds its own copy of a file, so a file
// that is edited and not included again in current.sql changes nothing.

import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Sql } from "../../src/db.ts";
import { reason } from "../../src/log.ts";

const SQL = fileURLToPath(new URL("../../sql", import.meta.url));
const OBJECTS = readFileSync(new URL("objects.sql", import.meta.url), "utf8");

/** The files under sql/ that have an object each, as paths from there. */
export function sqlFiles(): string[] {
  return globSync("{functions,views}/**/*.sql", { cwd: SQL }).sort();
}

/** The files that make roles and give them their rights; these are rights to the objects, so they come last. */
function roleFiles(): string[] {
  return globSync("roles/*.sql", { cwd: SQL }).sort();
}

/** The text of a file under sql/. */
export function readSqlFile(file: string): string {
  return readFileSync(`${SQL}/${file}`, "utf8");
}

/** Runs every file in a transaction that is rolled back; each line of the answer is a difference that this made. */
export async function differences(sql: Sql): Promise<string[]> {
  const found: string[] = [];
  const undo = new Error("undo");
  await sql
    .begin(async (sql) => {
      const objects = async () => {
        const rows = await (sql.unsafe(OBJECTS) as Promise<{ name: string; definition: string }[]>);
        return new Map(rows.map(({ name, definition }) => [name, definition]));
      };
      const before = await objects();
      const run = (file: string) =>
        sql
          .savepoint((sql) => sql.unsafe(readSqlFile(file)))
          .catch((error) => found.push(`sql/${file} does not run on the migrated database: ${reason(error)}`));
      for (const file of sqlFiles()) await run(file);
      if (found.length === 0) for (const file of roleFiles()) await run(file);
      for (const [name, definition] of await objects())
        if (!before.has(name)) found.push(`${name} is in a file under sql/, but not in the migrated database`);
        else if (before.get(name) !== definition)
          found.push(`${name} differs: ${firstDifference(before.get(name)!, definition)}`);
      throw undo;
    })
    .catch((error) => {
      if (error !== undo) throw error;
    });
  return found;
}

function firstDifference(database: string, file: string): string {
  const ours = file.split("\n");
  const theirs = database.split("\n");
  const line = ours.findIndex((text, index) => text !== theirs[index]);
  return `the file says ${JSON.stringify(ours[line] ?? "nothing")}, the database ${JSON.stringify(theirs[line === -1 ? ours.length : line] ?? "nothing")}`;
}
