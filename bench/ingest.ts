// Kafka to hypertable with one ingester, beside `psql \copy` of the very same rows into a table of the same shape.

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { CompressionTypes } from "kafkajs";
import { makeEvents } from "./events.ts";
import { type Stack, startStack } from "./stack.ts";

const execute = promisify(execFile);
const MESSAGES_A_REQUEST = 5_000;
const LIMIT_MS = 600_000;

/** Measures with so many events; rates are events a second. */
export async function benchIngest(events: number): Promise<Record<string, string | number>> {
  const stack = await startStack("ingest");
  try {
    const bytes = await produce(stack, events);
    const ingester = stack.start("ingest/main.ts");
    await untilStored(stack, events);
    const cpuSeconds = await cpu(ingester.pid!);
    const [row] = await stack.sql`
      select
        (select count(*)::int from analytics.events) as rows,
        extract(epoch from (select max(updated_at) from internal.ingest_offsets)
          - (select min(ingested_at) from analytics.events))::float8 as seconds`;
    const copySeconds = await psqlCopy(stack);
    return {
      servers: stack.where,
      "events stored": row!.rows,
      "bytes an event (JSON)": Math.round(bytes / events),
      "Kafka to hypertable, events/s": Math.round(events / row!.seconds),
      "psql \\copy of the same rows, events/s": Math.round(events / copySeconds),
      "ratio to psql \\copy": Math.round((copySeconds / row!.seconds) * 100) / 100,
      "CPU of the ingester, s per million events": Math.round((cpuSeconds / events) * 1e8) / 100,
    };
  } finally {
    await stack.stop();
  }
}

async function produce({ kafka, env }: Stack, events: number): Promise<number> {
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  const batch: { key: string; value: string }[] = [];
  const send = () =>
    producer.send({ topic: env.INGEST_TOPIC, messages: batch.splice(0), compression: CompressionTypes.LZ4 });
  let bytes = 0;
  let n = 0;
  for (const value of makeEvents(events, Date.now(), 600)) {
    bytes += value.length;
    batch.push({ key: String(n++), value });
    if (batch.length === MESSAGES_A_REQUEST) await send();
  }
  if (batch.length > 0) await send();
  await producer.disconnect();
  return bytes;
}

async function untilStored({ sql, env }: Stack, events: number): Promise<void> {
  for (const end = Date.now() + LIMIT_MS; Date.now() < end; await sleep(200)) {
    const [row] = await sql`
      select coalesce(sum(next_offset), 0)::int as stored from internal.ingest_offsets where topic = ${env.INGEST_TOPIC}`;
    if (row!.stored >= events) return;
  }
  throw new Error(`the ingester did not store everything within ${LIMIT_MS / 60_000} minutes`);
}

/** User and system time of a process so far, in whole seconds. */
async function cpu(pid: number): Promise<number> {
  const { stdout } = await execute("ps", ["-o", "cputimes=", "-p", String(pid)]);
  return Number(stdout);
}

async function psqlCopy({ url, sql }: Stack): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), "stacklens-bench-"));
  const file = join(directory, "events.tsv");
  const psql = (command: string) => execute("psql", [url, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", command]);
  try {
    await psql(`\\copy (select * from analytics.events) to '${file}'`);
    await sql`create table public.copied (like analytics.events including defaults)`;
    await sql`select create_hypertable('public.copied', by_range('time', interval '1 hour'))`;
    const start = performance.now();
    await psql(`\\copy public.copied from '${file}'`);
    return (performance.now() - start) / 1000;
  } finally {
    await rm(directory, { recursive: true });
  }
}
