// The commands of docs/development.md, in a copy of the project and on databases of its own: watch, commit, reset, uncommit.

import { type ChildProcess, spawn } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { connect } from "../../src/db.ts";
import { type TestDatabase, testDatabase, unique } from "../setup/services.ts";
import { dropDatabase } from "../setup/template.ts";

const FUNCTION = "sql/functions/internal/error_rate.sql";

let db: TestDatabase;
let shadow: string;
let project: string;

beforeAll(async () => {
  db = await testDatabase();
  shadow = new URL(`/${unique("stacklens_test_shadow")}`, db.url).href;
  project = mkdtempSync(join(tmpdir(), "stacklens-project-"));
  for (const part of ["local", "migrations", "sql", "src", "tools", ".gmrc", "package.json"])
    cpSync(part, `${project}/${part}`, { recursive: true, verbatimSymlinks: true });
  symlinkSync(resolve("node_modules"), `${project}/node_modules`);
});

afterAll(async () => {
  rmSync(project, { recursive: true });
  await dropDatabase(inject("database").server, shadow);
  await db.drop();
});

/** `npm run migrate` with these words, in the copy of the project; `output()` is what it has written so far. */
function migrate(...words: string[]): { child: ChildProcess; output: () => string; exit: Promise<number | null> } {
  const child = spawn(process.execPath, ["tools/migrate.ts", ...words], {
    cwd: project,
    env: {
      ...process.env,
      PATH: `${project}/node_modules/.bin:${process.env.PATH}`,
      DATABASE_URL: db.url,
      SHADOW_DATABASE_URL: shadow,
      ROOT_DATABASE_URL: inject("database").server,
    },
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (part) => (text += part));
  return { child, output: () => text, exit: new Promise((resolve) => child.on("close", resolve)) };
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(100)) if (await holds()) return;
  throw new Error(`waited 30 s for ${what}`);
}

const errorRate = async (url: string) => {
  const sql = connect(url, "stacklens test", 1);
  const [row] = await sql`select internal.error_rate(1, 4) as rate`;
  await sql.end();
  return row!.rate;
};
const edit = (from: string, to: string) => {
  const text = readFileSync(`${project}/${FUNCTION}`, "utf8");
  expect(text).toContain(from);
  writeFileSync(`${project}/${FUNCTION}`, text.replace(from, to));
};
const committed = () => readdirSync(`${project}/migrations/committed`).filter((file) => file.endsWith("-watched.sql"));

test("watch runs the migration at every save, and says where an error is", async () => {
  appendFileSync(`${project}/migrations/current.sql`, "\n--!include functions/internal/error_rate.sql\n");
  const { child, output, exit } = migrate("watch");
  await until("the first run", () => output().includes("Finished"));

  edit("nullif(total, 0)", "nullif(totl, 0)");
  await until("the error", () => output().includes(`${FUNCTION}:7: column "totl" does not exist (42703)`));
  expect(await errorRate(db.url)).toBe(25);

  edit("nullif(totl, 0)", "nullif(total, 0) + 1");
  await until("the next run", async () => (await errorRate(db.url)) === 26);
  child.kill("SIGINT");
  await exit;
}, 120_000);

test("commit tries the migration on a new shadow database and writes it down", async () => {
  const { output, exit } = migrate("commit", "watched");
  expect(await exit, output()).toBe(0);

  expect(committed()).toHaveLength(1);
  expect(readFileSync(`${project}/migrations/committed/${committed()[0]}`, "utf8")).toContain("nullif(total, 0) + 1");
  expect(readFileSync(`${project}/migrations/current.sql`, "utf8")).toBe(
    "-- The next migration. See docs/development.md.\n",
  );
  expect([await errorRate(db.url), await errorRate(shadow)]).toEqual([26, 26]);
}, 120_000);

test("reset makes the database anew", async () => {
  await db.sql`insert into analytics.services values ('web', now(), now())`;
  await db.sql.end(); // nobody can be connected to a database that is dropped
  const { output, exit } = migrate("reset", "--erase");
  expect(await exit, output()).toBe(0);

  const sql = connect(db.url, "stacklens test", 1);
  expect(await sql`select service from analytics.services`).toEqual([]);
  await sql.end();
  expect(await errorRate(db.url)).toBe(26);
}, 120_000);

test("uncommit takes the migration back into current.sql", async () => {
  const { output, exit } = migrate("uncommit");
  expect(await exit, output()).toBe(0);
  expect(committed()).toEqual([]);
  expect(readFileSync(`${project}/migrations/current.sql`, "utf8")).toContain(
    "--!include functions/internal/error_rate.sql",
  );
}, 120_000);
