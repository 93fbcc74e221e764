// Writes what was measured into the pages: each `<!-- bench:NAME -->` of README.md and docs/benchmarks.md is followed by the table of
// that benchmark, up to `<!-- /bench -->`. No figure on a page is typed by hand.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Result, results } from "./results.ts";
import { SUMMARY } from "./summary.ts";

const PAGES = ["README.md", "docs/benchmarks.md"].map((page) => fileURLToPath(new URL(`../${page}`, import.meta.url)));
const BLOCK = /(<!-- bench:(\w+) -->\n)[\s\S]*?(<!-- \/bench -->)/g;

export function writeReport(): void {
  for (const page of PAGES) writeFileSync(page, withTables(readFileSync(page, "utf8")));
}

/** The text of a page with its tables as they are measured now. */
export function withTables(page: string): string {
  return page.replace(
    BLOCK,
    (_, begin, name, end) => `${begin}\n${name === "summary" ? summary() : table(name)}\n${end}`,
  );
}

function table(benchmark: string): string {
  const measured = results().filter((result) => result.benchmark === benchmark);
  const names = [...new Set(measured.flatMap(({ medians }) => Object.keys(medians)))].filter(
    (name) => name !== "servers",
  );
  return [
    row(["", ...measured.map(({ servers }) => (servers === "server" ? "native server" : "embedded"))]),
    row(["---", ...measured.map(() => "---:")]),
    ...names.map((name) => row([name, ...measured.map(({ medians }) => figure(medians[name]))])),
    "",
    ...measured.map(
      ({ servers, date, machine, runs }) =>
        `${servers === "server" ? "Native server" : "Embedded"}: ${date.slice(0, 10)}, ${machine}, ${runs.length === 1 ? "one run" : `median of ${runs.length} runs`}.  `,
    ),
    "",
  ].join("\n");
}

function summary(): string {
  const all = results();
  const of = (servers: Result["servers"], benchmark: string, name: string) =>
    figure(all.find((result) => result.servers === servers && result.benchmark === benchmark)?.medians[name]);
  return [
    row(["", "native server", "embedded", "beside it in the same run (native)"]),
    row(["---", "---:", "---:", "---"]),
    ...SUMMARY.map(({ what, benchmark, name, yardstick }) =>
      row([
        what,
        of("server", benchmark, name),
        of("embedded", benchmark, name),
        yardstick ? `${yardstick.what}: ${of("server", benchmark, yardstick.name)}` : "",
      ]),
    ),
    "",
  ].join("\n");
}

const row = (cells: string[]) => `| ${cells.join(" | ")} |`;

const figure = (value: number | string | undefined) =>
  typeof value === "number" ? value.toLocaleString("en-US", { maximumFractionDigits: 2 }) : (value ?? "–");
