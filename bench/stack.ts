// What a benchmark runs on: the servers that the environment names, else local ones; a migrated database and topics of its own;
// and our processes as children, as in production.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Kafka } from "kafkajs";
import { connect, type Sql } from "../src/db.ts";
import { ensureTopics, kafkaClient } from "../src/kafka.ts";
import { databaseServer, kafkaServer } from "../test/setup/servers.ts";
import { migrate } from "../tools/migrate.ts";

/** What a benchmark gives: a figure or a fact for each name, the unit in the name. */
export type Figures = Record<string, number | string>;

export type Stack = {
  where: string;
  kafka: Kafka;
  brokers: string[];
  /** The process of the broker, where it is a local one that was started for this. */
  brokerPid: number | undefined;
  url: string;
  sql: Sql;
  env: { INGEST_TOPIC: string; ALERT_TOPIC: string; INGEST_GROUP: string };
  /** Starts a process of ours (a path under src/); it is stopped at the end. */
  start: (file: string) => ChildProcess;
  /** Sends so many events a second from now on, until the answer is called. */
  load: (perSecond: number) => () => Promise<void>;
  stop: () => Promise<void>;
};

/** Prepares a stack; `name` makes its database and topics its own, `more` is for the environment of its processes. */
export async function startStack(name: string, more: Record<string, string> = {}): Promise<Stack> {
  const [database, broker] = await Promise.all([databaseServer(), kafkaServer()]);
  const id = `stacklens_bench_${name}_${Date.now().toString(36)}`;
  const admin = connect(database.url, "stacklens bench", 1);
  await admin.unsafe(`create database "${id}"`);
  const url = Object.assign(new URL(database.url), { pathname: `/${id}` }).href;
  await migrate(url, { current: true });
  const kafka = kafkaClient({ kafka: { brokers: broker.brokers, ssl: false } }, "stacklens-bench");
  const env = { INGEST_TOPIC: `${id}_events`, ALERT_TOPIC: `${id}_alerts`, INGEST_GROUP: id };
  await ensureTopics(kafka, [
    { topic: env.INGEST_TOPIC, numPartitions: 3 },
    { topic: env.ALERT_TOPIC, numPartitions: 1 },
  ]);
  const sql = connect(url, "stacklens bench", 2);
  const children: ChildProcess[] = [];
  const spawnProcess = (file: string, ...args: string[]) => {
    const child = spawn(process.execPath, [fileURLToPath(new URL(`../${file}`, import.meta.url)), ...args], {
      env: {
        ...process.env,
        ...env,
        ...more,
        DATABASE_URL: url,
        KAFKA_BROKERS: broker.brokers.join(","),
        LOG_LEVEL: "warn",
      },
      stdio: ["ignore", "inherit", "inherit"],
    });
    children.push(child);
    return child;
  };

  return {
    where: `database: ${database.where}, kafka: ${broker.where}`,
    kafka,
    brokers: broker.brokers,
    brokerPid: broker.pid,
    url,
    sql,
    env,
    start: (file) => spawnProcess(`src/${file}`),
    load: (perSecond) => {
      const child = spawnProcess("bench/load.ts", String(perSecond));
      return () => end(child);
    },
    stop: async () => {
      for (const child of children) await end(child);
      await sql.end();
      await admin.unsafe(`drop database if exists "${id}" with (force)`);
      await admin.end();
      const topics = kafka.admin();
      await topics.connect();
      await topics.deleteTopics({ topics: [env.INGEST_TOPIC, env.ALERT_TOPIC] });
      await topics.disconnect();
      await Promise.all([database.stop(), broker.stop()]);
    },
  };
}

/** Waits until a server answers so. */
export async function answers(url: string): Promise<void> {
  const asks = () =>
    fetch(url).then(
      (it) => it.ok,
      () => false,
    );
  while (!(await asks())) await sleep(100);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}

/** The value below which a fraction of the values lies (nearest rank). */
export function percentile(values: number[], fraction: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)] ?? Number.NaN;
}
