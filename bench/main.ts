// `npm run bench -- ingest [events]`, `ingest-memory [minutes]`, `latency [trials]`, `rules [rules]` or `live [changes]`: figures on the servers that
// DATABASE_URL and KAFKA_BROKERS name (databases and topics of its own are made there), else on local ones. A table for people, JSON in
// bench/results.

import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { reason } from "../src/log.ts";
import { benchIngest, benchIngestMemory } from "./ingest.ts";
import { benchLatency } from "./latency.ts";
import { benchLive } from "./live.ts";
import { benchRules } from "./rules.ts";

const BENCHMARKS = {
  ingest: (count = 500_000) => benchIngest(count),
  "ingest-memory": (count = 10) => benchIngestMemory(count),
  latency: (count = 200) => benchLatency(count),
  live: (count = 50) => benchLive(count),
  rules: (count = 10_000) => benchRules(count),
};

const [name, count] = process.argv.slice(2);
if (!name || !(name in BENCHMARKS) || (count !== undefined && !(Number(count) >= 1))) {
  console.error(
    `which benchmark? ${Object.keys(BENCHMARKS).join(" or ")}, then how many: npm run bench -- latency 200`,
  );
  process.exit(2);
}

try {
  const figures = await BENCHMARKS[name as keyof typeof BENCHMARKS](count === undefined ? undefined : Number(count));
  const report = {
    benchmark: name,
    date: new Date().toISOString(),
    machine: `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
    ...figures,
  };
  console.table(report);
  const results = new URL("results/", import.meta.url);
  mkdirSync(results, { recursive: true });
  writeFileSync(new URL(`${name}-${report.date.slice(0, 10)}.json`, results), `${JSON.stringify(report, null, 2)}\n`);
} catch (error) {
  console.error(`bench ${name} failed: ${reason(error)}`);
  process.exit(1);
}
