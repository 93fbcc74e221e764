// npm run psql: opens psql on the database in use. What stands behind -- goes to psql: npm run psql -- -c 'select …'

import { spawn } from "node:child_process";
import { constants } from "node:os";
import { DATABASE_URL } from "../local/addresses.ts";
import { connect } from "../src/db.ts";
import { reason } from "../src/log.ts";

const given = process.env.DATABASE_URL?.trim();
const url = given || DATABASE_URL;

const problem = await whyNot();
if (problem) {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 1;
} else openPsql();

/** Asked before psql is: its own answer would not know of npm start. */
async function whyNot(): Promise<string | undefined> {
  if (!URL.canParse(url)) return "DATABASE_URL is not a URL of the form postgres://user:password@host:5432/database";
  const sql = connect(url, "stacklens psql", 1);
  try {
    await sql`select 1`;
  } catch (error) {
    const { host, pathname } = new URL(url);
    const remedy = given ? "is DATABASE_URL right?" : "start one with `npm start`, or set DATABASE_URL";
    return `no database at ${host}${pathname} (${reason(error)}): ${remedy}`;
  } finally {
    await sql.end();
  }
}

function openPsql(): void {
  process.on("SIGINT", () => {}); // Ctrl-C ends a query, not the session
  const address = new URL(url);
  const env = { ...process.env };
  if (address.password) env.PGPASSWORD = decodeURIComponent(address.password); // a command line is seen by all users
  address.password = "";
  const psql = spawn("psql", [address.href, ...process.argv.slice(2)], { stdio: "inherit", env });
  psql.once("error", (error) => {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    process.stderr.write(
      missing
        ? "psql is not installed: on Debian and Ubuntu it is in postgresql-client, in Homebrew in libpq\n"
        : `psql does not start: ${error.message}\n`,
    );
    process.exitCode = 1;
  });
  psql.once("exit", (status, signal) => {
    process.exitCode = signal ? 128 + constants.signals[signal] : (status ?? 1);
  });
}
