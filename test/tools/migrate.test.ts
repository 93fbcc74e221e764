// Migrations on real databases: what a first and a second run do, and what the user reads when one cannot run.

import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import * as graphile from "graphile-migrate";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../local/ports.ts";
import { runCurrent } from "../../tools/migrate/current.ts";
import { describe as locate } from "../../tools/migrate/locate.ts";
import { migrate } from "../../tools/migrate.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

/** `npm run migrate` with these words, as a user calls it. */
async function run(databaseUrl: string, ...words: string[]): Promise<{ status: number; output: string }> {
  const env = { ...process.env, DATABASE_URL: databaseUrl, SHADOW_DATABASE_URL: "", ROOT_DATABASE_URL: "" };
  return promisify(execFile)(process.execPath, ["tools/migrate.ts", ...words], { env }).then(
    ({ stdout, stderr }) => ({ status: 0, output: stdout + stderr }),
    ({ code, stdout, stderr }) => ({ status: code, output: stdout + stderr }),
  );
}

describe("npm run migrate", () => {
  test("changes nothing in a database that is up to date", async () => {
    await db.sql`insert into analytics.services values ('web', now(), now())`;
    await migrate(db.url, { current: true });
    expect(await db.sql`select service from analytics.services`).toEqual([{ service: "web" }]);
  });

  test("can run twice at once", async () => {
    await Promise.all([migrate(db.url, { current: true }), migrate(db.url, { current: true })]);
    expect(await db.sql`select service from analytics.services`).toEqual([{ service: "web" }]);
  });

  test("says in one line that nobody listens, and what to do", async () => {
    const port = await freePort();
    const began = Date.now();
    const { status, output } = await run(`postgres://postgres@127.0.0.1:${port}/stacklens`);
    expect(status).toBe(1);
    expect(output).toMatch(
      new RegExp(
        `^migrate: no database at 127\\.0\\.0\\.1:${port}/stacklens: .*ECONNREFUSED.*start the database.*\\n$`,
      ),
    );
    expect(Date.now() - began).toBeGreaterThan(9_000); // it waited for a server that may be starting
  });

  test("says in one line that DATABASE_URL is no URL", async () => {
    const { status, output } = await run("localhost:5432");
    expect(status).toBe(1);
    expect(output).toMatch(/^migrate: DATABASE_URL is not a URL of the form postgres:.*\n$/);
  });

  test("does not guess a shadow database on a server that is not the local one", async () => {
    const { status, output } = await run(db.url, "commit", "nothing");
    expect(status).toBe(1);
    expect(output).toMatch(/migrate: SHADOW_DATABASE_URL is not set: .*\n$/);
  });

  test("does not erase without being told twice", async () => {
    const { status, output } = await run(db.url, "reset");
    expect(status).toBe(1);
    expect(output).toMatch(/add -- --erase/);
    expect(await db.sql`select service from analytics.services`).toEqual([{ service: "web" }]);
  });
});

const logger = new graphile.Logger(() => () => {});

describe.each([
  { how: "current", run: runCurrent },
  { how: "watch", run: (settings: graphile.Settings) => graphile.current(settings) },
])("an error in a migration run by $how is described with the file and the line that it is in", ({ run }) => {
  const folder = mkdtempSync(join(tmpdir(), "stacklens-migrations-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Runs a current.sql beside a file that it includes, and gives the description of the error. */
  async function failure(current: string, included: string): Promise<string> {
    cpSync("sql", `${folder}/sql`, { recursive: true });
    writeFileSync(`${folder}/sql/included.sql`, included);
    writeFileSync(`${folder}/current.sql`, current);
    rmSync(`${folder}/fixtures`, { force: true });
    symlinkSync("sql", `${folder}/fixtures`);
    const settings = { connectionString: db.url, migrationsFolder: folder, logger };
    const error = await run(settings).then(
      () => undefined,
      (error) => error,
    );
    await sleep(300); // see LINGER_MS in tools/migrate.ts
    return locate(error, folder);
  }

  test("in current.sql, above and below an include", async () => {
    const included = "\n-- one\nselect 1;\n";
    expect(await failure("-- one\nselect nothing;\n--!include included.sql\n", included)).toBe(
      'migrations/current.sql:2: column "nothing" does not exist (42703)',
    );
    expect(await failure("-- one\n--!include included.sql\n\nselect nothing;\n", included)).toBe(
      'migrations/current.sql:4: column "nothing" does not exist (42703)',
    );
  });

  test("in an included file, whose first line may be empty", async () => {
    expect(await failure("-- one\n--!include included.sql\n", "-- one\n-- two\nselect nothing;\n")).toBe(
      'sql/included.sql:3: column "nothing" does not exist (42703)',
    );
    expect(await failure("-- one\n--!include included.sql\n", "\n\nselect nothing;\n")).toBe(
      'sql/included.sql:3: column "nothing" does not exist (42703)',
    );
  });

  test("in the body of a function that the migration calls", async () => {
    expect(await failure("do $$ begin perform 1 / 0; end $$;\n--!include included.sql\n", "select 1;\n")).toMatch(
      /^division by zero \(22012\), in .*inline_code_block line 1/,
    );
  });
});
