// `npm run bench -- ingest`: measures on the servers that DATABASE_URL and KAFKA_BROKERS name (databases and topics of its own are
// made there and dropped), else on local ones. Each benchmark runs several times; the medians are shown, and kept with all runs
// in bench/results, from where `npm run bench -- report` writes the tables of docs/benchmarks.md.

import { parseArgs } from "node:util";
import { reason } from "../src/log.ts";
import { benchGraphql } from "./graphql.ts";
import { benchGrowth } from "./growth.ts";
import { benchIngest, benchIngestMemory } from "./ingest.ts";
import { benchLatency } from "./latency.ts";
import { benchLive } from "./live.ts";
import { writeReport } from "./report.ts";
import { medians, save } from "./results.ts";
import { benchRollups } from "./rollups.ts";
import { benchRules } from "./rules.ts";
import type { Figures } from "./stack.ts";

/** What the first argument names: the benchmark, what its second argument counts, and how much it does without one. */
const BENCHMARKS: Record<
  string,
  { run: (count: number) => Promise<Figures>; of: string; count: number; runs: number }
> = {
  ingest: { run: benchIngest, of: "events", count: 1_000_000, runs: 3 },
  memory: { run: benchIngestMemory, of: "minutes", count: 10, runs: 1 },
  rollups: { run: benchRollups, of: "seconds of load", count: 30, runs: 3 },
  rules: { run: (count) => benchRules([1, 100, count]), of: "rules at most", count: 10_000, runs: 3 },
  latency: { run: benchLatency, of: "trials at each load", count: 200, runs: 1 },
  graphql: { run: benchGraphql, of: "requests of each", count: 500, runs: 1 },
  live: { run: benchLive, of: "changes", count: 50, runs: 3 },
  growth: { run: benchGrowth, of: "services at most", count: 1000, runs: 1 },
};

const { name, count, runs: times } = readArguments();
const benchmark = BENCHMARKS[name ?? ""];
const isCount = (text: string | undefined) => text === undefined || /^[1-9]\d*$/.test(text);

if (name === "report") {
  writeReport();
} else if (!benchmark || !isCount(count) || !isCount(times)) {
  console.error("which benchmark, how much, how often? npm run bench -- ingest 1000000 --runs 3");
  for (const [known, { of, count, runs }] of Object.entries(BENCHMARKS))
    console.error(`  ${known.padEnd(8)} ${count} ${of}, ${runs === 1 ? "one run" : `${runs} runs`}`);
  console.error("  report   writes docs/benchmarks.md from what was measured");
  process.exitCode = 2;
} else {
  try {
    const runs: Figures[] = [];
    for (let n = 1; n <= Number(times ?? benchmark.runs); n++) {
      console.error(`${name}, run ${n}`);
      runs.push(await benchmark.run(Number(count ?? benchmark.count)));
    }
    console.table(medians(runs));
    console.error(`kept in ${save(name!, runs)}`);
  } catch (error) {
    console.error(`bench ${name} failed: ${reason(error)}`);
    process.exitCode = 1;
  }
}

function readArguments(): Record<"name" | "count" | "runs", string | undefined> {
  try {
    const { positionals, values } = parseArgs({ allowPositionals: true, options: { runs: { type: "string" } } });
    return { name: positionals[0], count: positionals[1], runs: values.runs };
  } catch (error) {
    console.error(reason(error));
    process.exit(2);
  }
}
