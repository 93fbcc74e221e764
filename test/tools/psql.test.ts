import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../../local/ports.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

const psql = (args: string[], env: Record<string, string>) =>
  spawnSync(process.execPath, ["tools/psql.ts", ...args], { encoding: "utf8", env: { ...process.env, ...env } });

const installed = spawnSync("psql", ["--version"]).status === 0;

test("opens psql on DATABASE_URL, with its arguments and its exit status", (context) => {
  if (!installed) return context.skip("psql is not installed");
  const ok = psql(["-XAtc", "select current_database()"], { DATABASE_URL: db.url });
  expect([ok.status, ok.stdout, ok.stderr]).toEqual([0, `${new URL(db.url).pathname.slice(1)}\n`, ""]);
  expect(psql(["-Xc", "select nonsense"], { DATABASE_URL: db.url }).status).toBe(1);
});

test("says in one line that there is no database", async () => {
  const nowhere = `127.0.0.1:${await freePort()}`;
  const { status, stderr } = psql([], { DATABASE_URL: `postgres://postgres@${nowhere}/x` });
  expect(status).toBe(1);
  expect(stderr).toMatch(/^no database at .*ECONNREFUSED.*: is DATABASE_URL right\?\n$/);
  expect(stderr).toContain(nowhere);
});

test("says in one line that psql is not installed", () => {
  const empty = mkdtempSync(join(tmpdir(), "stacklens-psql-"));
  const { status, stderr } = psql([], { DATABASE_URL: db.url, PATH: empty });
  rmSync(empty, { recursive: true });
  expect([status, stderr]).toEqual([
    1,
    "psql is not installed: on Debian and Ubuntu it is in postgresql-client, in Homebrew in libpq\n",
  ]);
});
