// Kafka to hypertable with one ingester, beside two ceilings: `psql \copy` of the very same rows into a hypertable of the same shape, and
// Kafka's own consumer, which only counts.

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { CompressionTypes } from "kafkajs";
import { kafkaJars } from "../local/kafka/jars.ts";
import { findJava, javaFlags } from "../local/kafka/java.ts";
import { reason } from "../src/log.ts";
import { makeEvents } from "./events.ts";
import { cpuSeconds, memory } from "./processes.ts";
import { type Figures, type Stack, startStack } from "./stack.ts";

const execute = promisify(execFile);
const MESSAGES_A_REQUEST = 5_000;
const LIMIT_MS = 600_000;
const NOT_HERE = "not on this machine";
const FORMATS = ["text", "binary"] as const;

const LOAD_A_SECOND = 10_000; // events, of the long run

/** Measures with so many events; rates are events a second. */
export async function benchIngest(events: number): Promise<Figures> {
  const stack = await startStack("ingest");
  try {
    const bytes = await produce(stack, events);
    const brokerBefore = brokerCpu(stack);
    const ingester = stack.start("ingest/main.ts");
    await untilStored(stack, events);
    const used = {
      ingester: cpuSeconds([ingester.pid!], /node/),
      backends: cpuSeconds(await backends(stack), /postgres/),
      broker: difference(brokerCpu(stack), brokerBefore),
    };
    const peak = memory(ingester.pid!)?.peak;
    ingester.kill();
    const [row] = await stack.sql`
      select
        (select count(*)::int from analytics.events) as rows,
        extract(epoch from (select max(updated_at) from internal.ingest_offsets)
          - (select min(ingested_at) from analytics.events))::float8 as seconds`;
    const rate = (seconds: number) => Math.round(events / seconds);
    const aMillion = (seconds: number | undefined) =>
      seconds === undefined ? NOT_HERE : Math.round((seconds / events) * 1e8) / 100;
    const copies: Figures = {};
    for (const format of FORMATS) {
      const seconds = await psqlCopy(stack, format);
      copies[`psql \\copy of the same rows, ${format}, events/s`] = rate(seconds);
      copies[`ratio to psql \\copy, ${format}`] = Math.round((seconds / row!.seconds) * 100) / 100;
    }
    return {
      servers: stack.where,
      "events stored": row!.rows,
      "bytes an event (JSON)": Math.round(bytes / events),
      "Kafka to hypertable, events/s": rate(row!.seconds),
      ...copies,
      "Kafka's own consumer, events/s": await kafkaConsumer(stack, events),
      "CPU s per million events, ingester": aMillion(used.ingester),
      "CPU s per million events, backends": aMillion(used.backends),
      "CPU s per million events, broker": aMillion(used.broker),
      "memory of the ingester at most, MB": peak === undefined ? NOT_HERE : Math.round(peak),
    };
  } finally {
    await stack.stop();
  }
}

/** Sends 10 000 events a second for so many minutes, and looks at the memory of the ingester at the end of each. */
export async function benchIngestMemory(minutes: number): Promise<Figures> {
  const stack = await startStack("ingest_memory");
  try {
    const ingester = stack.start("ingest/main.ts");
    const stopLoad = stack.load(LOAD_A_SECOND);
    const ends: number[] = [];
    while (ends.length < minutes) {
      await sleep(60_000);
      const now = memory(ingester.pid!)?.now;
      if (now === undefined) throw new Error("this machine does not say how much memory a process has");
      ends.push(Math.round(now));
      console.error(`minute ${ends.length}: ${ends.at(-1)} MB`);
    }
    await stopLoad();
    const [row] = await stack.sql`select count(*)::int as rows from analytics.events`;
    return {
      servers: stack.where,
      minutes,
      "events stored": row!.rows,
      "memory of the ingester at the end of each minute, MB": ends.join(" "),
      "slope after the first two minutes, MB a minute": Math.round(slope(ends.slice(2)) * 100) / 100,
    };
  } finally {
    await stack.stop();
  }
}

/** Of the line with the least squares. */
function slope(values: number[]): number {
  const mean = (list: number[]) => list.reduce((sum, value) => sum + value, 0) / list.length;
  const times = values.map((_, time) => time);
  const [middle, level] = [mean(times), mean(values)];
  const spread = times.reduce((sum, time) => sum + (time - middle) ** 2, 0);
  return spread === 0 ? 0 : times.reduce((sum, time) => sum + (time - middle) * (values[time]! - level), 0) / spread;
}

async function backends({ sql }: Stack): Promise<number[]> {
  const rows = await sql<{ pid: number }[]>`
    select pid from pg_stat_activity where datname = current_database() and application_name = 'stacklens ingest'`;
  return rows.map(({ pid }) => pid);
}

const brokerCpu = ({ brokerPid }: Stack) => (brokerPid === undefined ? undefined : cpuSeconds([brokerPid], /java/));
const difference = (after?: number, before?: number) =>
  after === undefined || before === undefined ? undefined : after - before;

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

/** Seconds that psql takes for the rows from a file. */
async function psqlCopy({ url, sql }: Stack, format: string): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), "stacklens-bench-"));
  const file = join(directory, "events");
  const psql = (command: string) => execute("psql", [url, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", command]);
  try {
    await psql(`\\copy (select * from analytics.events) to '${file}' (format ${format})`);
    await sql`create table public.copied (like analytics.events including defaults)`;
    await sql`
      select create_hypertable('public.copied', by_range('time', interval '1 hour'), create_default_indexes => false)`;
    await sql`create index on public.copied (time)`;
    const start = performance.now();
    await psql(`\\copy public.copied from '${file}' (format ${format})`);
    return (performance.now() - start) / 1000;
  } finally {
    await sql`drop table if exists public.copied`;
    await rm(directory, { recursive: true });
  }
}

/** Events a second that kafka-consumer-perf-test reads from the topic, the time for joining its group apart. */
async function kafkaConsumer({ brokers, env }: Stack, events: number): Promise<number | string> {
  try {
    const [java, jars] = [await findJava(), await kafkaJars(console.log)];
    const options = [
      "--bootstrap-server",
      brokers.join(","),
      "--topic",
      env.INGEST_TOPIC,
      "--num-records",
      `${events}`,
    ];
    const { stdout } = await execute(java.program, [
      // As its own script starts it: with the compiler that the local broker goes without.
      ...javaFlags(jars).filter((flag) => !flag.startsWith("-XX:Tiered")),
      "org.apache.kafka.tools.ConsumerPerformance",
      ...options,
    ]);
    const figures = stdout.trim().split("\n").at(-1)!.split(", ");
    return Math.round(Number(figures.at(-1)));
  } catch (error) {
    return `not measured: ${reason(error)}`;
  }
}
