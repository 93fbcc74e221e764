// A broker that is killed again and again while an ingester reads from it: what it acknowledged is stored once.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findJava } from "../../local/kafka/java.ts";
import { type LocalKafka, startKafka } from "../../local/kafka.ts";
import { freePort } from "../../local/ports.ts";
import { startIngest } from "../../src/ingest/consumer.ts";
import { kafkaClient } from "../../src/kafka.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { numbered, testConfig } from "./pipeline.ts";

const TOPIC = "broker_test";
const KILLS = 2;
const EVENTS_A_ROUND = 20_000;
const EVENTS_A_SEND = 2_000;

const dataDir = mkdtempSync(join(tmpdir(), "stacklens-broker-"));
const hasJava = await findJava().then(
  () => true,
  () => false,
);
let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(async () => {
  await db.drop();
  rmSync(dataDir, { recursive: true });
});

it.skipIf(!hasJava)("every acknowledged event is stored once", { timeout: 180_000 }, async () => {
  const port = await freePort();
  const start = () => startKafka({ dataDir, port, topics: [{ topic: TOPIC, numPartitions: 4 }] });
  let kafka: LocalKafka = await start();
  const brokers = [kafka.brokers];
  const stopIngest = await startIngest(testConfig(db.url, brokers, TOPIC));
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      await send(brokers, kill * EVENTS_A_ROUND);
      await sleep(Math.random() * 300);
      process.kill(kafka.pid, "SIGKILL");
      await kafka.exited;
      kafka = await start();
    }
    await send(brokers, KILLS * EVENTS_A_ROUND);
    const all = (KILLS + 1) * EVENTS_A_ROUND;
    const stored = async () =>
      (await db.sql`select count(*)::int as rows, count(distinct request_id)::int as events from analytics.events`)[0];
    await expect.poll(stored, { timeout: 60_000, interval: 200 }).toMatchObject({ events: all });
    expect(await stored()).toEqual({ rows: all, events: all });
  } finally {
    await stopIngest();
    await kafka.stop();
  }
});

/** Sends a round of events, numbered from `from` on; all are acknowledged. */
async function send(brokers: string[], from: number): Promise<void> {
  const producer = kafkaClient({ kafka: { brokers, ssl: false } }, "broker test", 12, true).producer({
    idempotent: true,
  });
  await producer.connect();
  for (let sent = 0; sent < EVENTS_A_ROUND; sent += EVENTS_A_SEND) {
    const messages = numbered(from + sent, EVENTS_A_SEND).map((event, n) => ({
      key: `${n}`,
      value: JSON.stringify(event),
    }));
    await producer.send({ topic: TOPIC, messages });
  }
  await producer.disconnect();
}
