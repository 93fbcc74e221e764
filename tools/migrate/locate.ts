// Where in our files an error of a migration is. graphile-migrate names the line of the text with all includes expanded, which
// is a line of no file.

import { readFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import { reason } from "../../src/log.ts";

/** An error of graphile-migrate, or of runCurrent. */
type MigrationError = Error & { _gmMessageOverride?: string; body?: string; position?: string; where?: string };

/** One line for the error of a migration: file, line, message, SQLSTATE. `migrations` is the folder. */
export function describe(error: unknown, migrations: string): string {
  const { _gmMessageOverride, body, position, where } = error as MigrationError;
  if (body && position) {
    const line = body.slice(0, Number(position) - 1).split("\n").length;
    return `${place(migrations, "current.sql", line)}: ${reason(error)}`;
  }
  const at = /at line (\d+), column \d+ of "([^"]+)"/.exec(stripVTControlCharacters(_gmMessageOverride ?? ""));
  if (at) return `${place(migrations, at[2]!, Number(at[1]))}: ${reason(error)}`;
  const [statement, ...callers] = where?.split("\n") ?? [];
  const caller = callers.find((line) => / function /.test(line)) ?? statement;
  return caller ? `${reason(error)}, in ${caller}` : reason(error);
}

function place(migrations: string, file: string, line: number): string {
  // A committed file keeps its includes expanded, so the line is one of its body; after the headers stands an empty line.
  if (file !== "current.sql") return `migration ${file}, line ${line} after the headers`;

  for (const [index, text] of readFileSync(`${migrations}/current.sql`, "utf8").split("\n").entries()) {
    const include = /^--![ \t]*include[ \t]+(.*\.sql)[ \t]*$/.exec(text)?.[1];
    if (!include) {
      if (--line === 0) return `migrations/current.sql:${index + 1}`;
      continue;
    }
    // The expansion is a marker, the trimmed file, a marker.
    const included = readFileSync(`${migrations}/fixtures/${include}`, "utf8");
    const length = included.trim().split("\n").length + 2;
    if (line <= length)
      return `sql/${include}:${line - 1 + included.slice(0, included.indexOf(included.trim())).split("\n").length - 1}`;
    line -= length;
  }
  return "migrations/current.sql";
}
