// `npm run check`: everything that must hold before a commit and is not a test. With `-- --write` it brings the files up to date
// that are made from the database, schema.sql and schema.graphql, and from biome.

import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { connect } from "../src/db.ts";
import { reason } from "../src/log.ts";
import { databaseServer } from "../test/setup/servers.ts";
import { copyTemplate, dropTemplate, makeTemplate } from "../test/setup/template.ts";
import { outline } from "./check/schema.ts";
import { differences } from "./check/sql-files.ts";

const write = process.argv.includes("--write");
process.chdir(fileURLToPath(new URL("..", import.meta.url)));

/** A step answers the problems that it found, and the remedy for all of them. */
type Problems = string[];
let failed = 0;

await step("types", "", () => command("tsc", ["--noEmit", "--pretty", "false"]));
await step("lint", "`npm run check -- --write` mends most of it", () =>
  command("biome", [
    "check",
    ...(write ? ["--write"] : []),
    "--error-on-warnings",
    "--colors",
    "off",
    "--reporter",
    "concise",
  ]),
);
await step("migrations", "rules that do not apply are left out in .squawk.toml, with the reason", () =>
  command("squawk", ["--reporter", "gcc", "migrations/**/*.sql", "sql/**/*.sql"]),
);

let server: Awaited<ReturnType<typeof databaseServer>> | undefined;
let template = "";
try {
  server = await databaseServer();
  console.log(`database: ${server.says}`);
  template = await makeTemplate(server.url);
  const url = await copyTemplate(server.url, template, `${template}_check`);
  const sql = connect(url, "stacklens check", 1);
  await step("sql/", "include the files that you changed in migrations/current.sql, see docs/development.md", () =>
    differences(sql),
  );
  await step("schema.sql", "`npm run check -- --write`, and commit it", async () =>
    current("schema.sql", await outline(sql)),
  );
  await step("schema.graphql", "`npm run check -- --write`, and commit it", async () => {
    process.env.GRAPHILE_ENV ??= "production"; // unset, it is a line of advice on standard error
    const { graphqlSchema } = await import("./check/schema-graphql.ts");
    return current("schema.graphql", await graphqlSchema(url));
  });
  await sql.end();
} catch (error) {
  failed++;
  console.log(`FAILED          the migrated database\n  ${reason(error)}`);
} finally {
  if (server && template) await dropTemplate(server.url, template);
  await server?.stop();
}

if (failed) process.exitCode = 1;
console.log(failed ? `${failed} of the checks failed` : "all checks passed");

async function step(name: string, remedy: string, run: () => Promise<Problems>): Promise<void> {
  const began = performance.now();
  const problems = await run().catch((error): Problems => [reason(error)]);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`${problems.length ? "FAILED" : "ok    "} ${seconds.padStart(5)} s  ${name}`);
  if (problems.length === 0) return;
  failed++;
  for (const problem of problems) console.log(`  ${problem}`);
  if (remedy) console.log(`  to do: ${remedy}`);
}

/** Runs a command of node_modules/.bin; what it writes is the problem when it fails. */
async function command(name: string, words: string[]): Promise<Problems> {
  const child = spawn(`node_modules/.bin/${name}`, words, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const status = await new Promise((resolve, reject) => child.on("close", resolve).on("error", reject));
  return status === 0 ? [] : output.trim().split("\n");
}

/** Whether a committed file is what it would be if it were made now. */
async function current(file: string, text: string): Promise<Problems> {
  const committed = await readFile(file, "utf8").catch(() => "");
  if (committed === text) return [];
  if (write) {
    await writeFile(file, text);
    return [];
  }
  const [ours, theirs] = [text.split("\n"), committed.split("\n")];
  const line = ours.findIndex((line, index) => line !== theirs[index]);
  return [
    `${file}:${(line === -1 ? ours.length : line) + 1} is not what the migrated database has: ${ours[line] ?? "nothing"}`,
  ];
}
