// The worker as a process: events in the database, alerts on the topic, within two seconds.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ensureTopics, kafkaClient } from "../../src/kafka.ts";
import { type TestDatabase, testDatabase, testKafka, unique } from "../setup/services.ts";
import { ago, insertEvents } from "../sql/events.ts";
import { consume } from "./consume.ts";

let db: TestDatabase;
let consumer: Awaited<ReturnType<typeof consume>>;
const topic = unique("analytics-alerts");
const workers = new Set<ReturnType<typeof startWorker>>();

beforeAll(async () => {
  db = await testDatabase();
  await ensureTopics(kafkaClient({ kafka: { ...testKafka(), ssl: false } }, "stacklens-test"), [
    { topic, numPartitions: 3 },
  ]);
  consumer = await consume(testKafka().brokers, topic);
});
afterEach(async () => {
  await Promise.all([...workers].map((worker) => worker.end("SIGKILL")));
});
afterAll(async () => {
  await consumer?.stop();
  await db.drop();
});

function startWorker() {
  const child = spawn(process.execPath, [fileURLToPath(new URL("../../src/tasks/main.ts", import.meta.url))], {
    env: {
      ...process.env,
      DATABASE_URL: db.url,
      KAFKA_BROKERS: testKafka().brokers.join(","),
      ALERT_TOPIC: topic,
      LOG_LEVEL: "info",
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let output = "";
  child.stderr.on("data", (chunk) => {
    output += chunk;
  });
  const exit = once(child, "exit");
  const worker = {
    output: () => output,
    ready: async () => {
      while (!output.includes("worker ready")) {
        if (child.exitCode !== null) throw new Error(`the worker ended: ${output}`);
        await sleep(10);
      }
    },
    end: async (signal: NodeJS.Signals) => {
      child.kill(signal);
      workers.delete(worker);
      return (await exit)[0] as number | null;
    },
  };
  workers.add(worker);
  return worker;
}

/** 20 failed requests of a service, told to the worker as the ingester does it. */
async function fail(service: string) {
  const now = new Date();
  await insertEvents(
    db.sql,
    Array.from({ length: 20 }, (_, i) => ({ time: ago(now, i / 100), service, level: "error" as const })),
  );
  await db.sql`select pg_notify('stacklens_ingested', '')`;
}
const triggered = (service: string) => (messages: { key: string; value: Record<string, unknown> }[]) =>
  messages.some(({ key, value }) => key === `critical_error_rate:${service}` && value.event === "triggered");

test("events that breach a rule are an alert and a message within two seconds, and its log is quiet", async () => {
  const worker = startWorker();
  await worker.ready();
  await fail("warm-up");
  await consumer.until(triggered("warm-up"));

  const began = Date.now();
  await fail("web");
  await consumer.until(triggered("web"));
  expect(Date.now() - began).toBeLessThan(2_000);
  expect(
    await db.sql`select status from analytics.active_alerts where service = 'web' and rule_id = 'critical_error_rate'`,
  ).toEqual([{ status: "active" }]);

  await sleep(3_000);
  expect(await worker.end("SIGTERM")).toBe(0);
  // an info line for what changed, none for each second
  const lines = worker.output().trim().split("\n");
  expect(lines.filter((line) => !/ info (worker|alerts changed|alert messages sent)/.test(line))).toEqual([]);
  expect(lines.length).toBeLessThan(15);
});

test("without a nudge the second's rhythm finds them", async () => {
  const worker = startWorker();
  await worker.ready();
  const began = Date.now();
  await insertEvents(
    db.sql,
    Array.from({ length: 20 }, () => ({ time: new Date(), service: "unheard", level: "error" as const })),
  );
  await consumer.until(triggered("unheard"));
  expect(Date.now() - began).toBeLessThan(3_000);
  expect(await worker.end("SIGTERM")).toBe(0);
});

test("two workers say everything once; when one is killed the other one goes on, and a new one takes over from both", async () => {
  const [first, second] = [startWorker(), startWorker()];
  await Promise.all([first.ready(), second.ready()]);
  await fail("both");
  await consumer.until(triggered("both"));
  await first.end("SIGKILL");
  await fail("one");
  await consumer.until(triggered("one"));
  await second.end("SIGKILL");
  await fail("none");
  const third = startWorker();
  await third.ready();
  await consumer.until(triggered("none"));
  // a worker that is killed between Kafka's answer and its own note of it makes the next one send again, under the same event_id
  for (const service of ["both", "one", "none"]) {
    const messages = consumer.messages.filter(({ key }) => key === `critical_error_rate:${service}`);
    expect(new Set(messages.map(({ value }) => value.event_id)).size).toBe(1);
  }
});

test("the roll-ups are refreshed, also where events came late", async () => {
  const worker = startWorker();
  await worker.ready();
  const now = new Date();
  const count = async (from: number, until: number) =>
    (
      await db.sql`
      select coalesce(sum(total_requests), 0)::int as count from internal.metrics_10s_v1
      where service = 'late' and bucket >= ${ago(now, from)} and bucket < ${ago(now, until)}`
    )[0]?.count;
  await insertEvents(db.sql, [{ time: ago(now, 3600), service: "late" }]);
  const materialized = async () => {
    while ((await db.sql`select * from internal.late_minutes`).length > 0) await sleep(50);
    return count(3660, 3500);
  };
  expect(await materialized()).toBe(1);
  await insertEvents(db.sql, [{ time: ago(now, 3600), service: "late" }]);
  expect(await materialized()).toBe(2);
});

test("a cron tick finds its tasks", async () => {
  const worker = startWorker();
  await worker.ready();
  const tick = db.sql.json({ _cron: { ts: new Date().toISOString(), backfilled: false } });
  const tasks = ["evaluate_alerts", "refresh_rollups", "publish_alert", "clean_up"];
  for (const task of tasks)
    await db.sql`select graphile_worker.add_job(${task}, ${tick}::jsonb::json, job_key => ${`tick ${task}`}, max_attempts => 1)`;
  const left = () =>
    db.sql`select task_identifier, last_error from graphile_worker.jobs where starts_with(key, 'tick ')`;
  while ((await left()).some(({ last_error }) => last_error === null)) await sleep(50);
  expect(await left()).toEqual([]);
});

test("a task with a payload that means nothing fails in words, and the worker goes on", async () => {
  const worker = startWorker();
  await worker.ready();
  await db.sql`select graphile_worker.add_job('clean_up', '{"older_than": "1 day"}', max_attempts => 1)`;
  while (!worker.output().includes("clean_up takes no payload, but got older_than")) await sleep(20);
  expect(await worker.end("SIGTERM")).toBe(0);
});
