// What was measured, as JSON files in bench/results: one a benchmark and kind of server, overwritten by the next measurement.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { type Figures, percentile } from "./stack.ts";

const FOLDER = fileURLToPath(new URL("results/", import.meta.url));

export type Result = {
  benchmark: string;
  servers: string;
  date: string;
  machine: string;
  medians: Figures;
  runs: Figures[];
};

/** The median of each figure over the runs; what is no number is taken from the last run. */
export function medians(runs: Figures[]): Figures {
  const values = (key: string) => runs.map((run) => run[key]);
  return Object.fromEntries(
    Object.entries(runs.at(-1)!).map(([key, last]) => [
      key,
      typeof last === "number" ? percentile(values(key) as number[], 0.5) : last,
    ]),
  );
}

/** Writes the runs of a benchmark to its file; the answer is the file's path. */
export function save(benchmark: string, runs: Figures[]): string {
  const servers = process.env.DATABASE_URL ? "server" : "embedded";
  const result: Result = {
    benchmark,
    servers,
    date: new Date().toISOString(),
    machine: `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
    medians: medians(runs),
    runs,
  };
  mkdirSync(FOLDER, { recursive: true });
  const file = `${FOLDER}${benchmark}-${servers}.json`;
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  return file;
}

/** All that was measured, in the order of the file names. */
export function results(): Result[] {
  if (!existsSync(FOLDER)) return [];
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(".json"))
    .sort()
    .map((file) => JSON.parse(readFileSync(FOLDER + file, "utf8")));
}
