// Alert messages on the real Kafka: in order, once while nothing fails, and never lost.

import { createServer } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ensureTopics, kafkaClient } from "../../src/kafka.ts";
import { publishAlert } from "../../src/tasks/publish_alert.ts";
import { type TestDatabase, testDatabase, testKafka, unique } from "../setup/services.ts";
import { consume, type Message } from "./consume.ts";

let db: TestDatabase;
const topic = unique("analytics-alerts");
const kafka = () => kafkaClient({ kafka: { ...testKafka(), ssl: false } }, "stacklens-test");
let alerts: ReturnType<typeof publishAlert>;
let consumer: Awaited<ReturnType<typeof consume>>;

beforeAll(async () => {
  db = await testDatabase();
  await ensureTopics(kafka(), [{ topic, numPartitions: 3 }]);
  alerts = publishAlert(db.sql, kafka(), topic);
  consumer = await consume(testKafka().brokers, topic);
});
afterAll(async () => {
  await Promise.all([consumer?.stop(), alerts?.stop()]);
  await db.drop();
});
beforeEach(() => {
  consumer.messages.length = 0;
});

const write = (count: number, keys: number) => db.sql`
  insert into internal.alert_messages (key, message)
  select 'rule:service-' || i % ${keys}, json_build_object('number', i)
  from generate_series(1, ${count}::int) as i order by i`;
const waiting = async () => (await db.sql`select count(*)::int from internal.alert_messages`)[0]?.count;

/** Whether the messages of each alert came in the order in which they were written. */
function inOrder(messages: Message[]): boolean {
  const last = new Map<string, number>();
  return messages.every(({ key, value }) => {
    const ordered = (value.number as number) > (last.get(key) ?? 0);
    last.set(key, value.number as number);
    return ordered;
  });
}

test("sends all there are in a few batches, each once, in order per alert, and forgets them", async () => {
  await write(1_234, 40);
  await alerts.task({});
  expect(await waiting()).toBe(0);
  await consumer.until(({ length }) => length >= 1_234);
  expect(consumer.messages).toHaveLength(1_234);
  expect(inOrder(consumer.messages)).toBe(true);
  expect(consumer.messages[0]).toMatchObject({ key: expect.stringMatching(/^rule:service-/) });
});

test("several at once send each message once, in order", async () => {
  await write(700, 20);
  const others = [1, 2, 3].map(() => publishAlert(db.sql, kafka(), topic));
  await Promise.all([alerts, ...others].map(({ task }) => task({})));
  while ((await waiting()) > 0) await alerts.task({});
  await Promise.all(others.map(({ stop }) => stop()));
  await consumer.until(({ length }) => length >= 700);
  expect(consumer.messages).toHaveLength(700);
  expect(inOrder(consumer.messages)).toBe(true);
});

test("a Kafka that is away is waited for, the messages stay, and a sender that is stopped lets others send", async () => {
  await write(5, 2);
  const nobody = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => nobody.once("listening", resolve));
  const { port } = nobody.address() as { port: number };
  await new Promise((resolve) => nobody.close(resolve));
  const away = publishAlert(
    db.sql,
    kafkaClient({ kafka: { brokers: [`127.0.0.1:${port}`], ssl: false } }, "stacklens-test"),
    topic,
  );

  const stop = new AbortController();
  const sending = away.task({}, { abortSignal: stop.signal });
  const failed = expect(sending).rejects.toThrow("the worker stops");
  await new Promise((resolve) => setTimeout(resolve, 500));
  await alerts.task({}); // finds that somebody else sends
  expect(await waiting()).toBe(5);
  stop.abort();
  await failed;

  await alerts.task({});
  expect(await waiting()).toBe(0);
  await consumer.until(({ length }) => length >= 5);
  expect(inOrder(consumer.messages)).toBe(true);
});

test("a payload that somebody believed to mean something is refused", async () => {
  await expect(alerts.task({ alert_id: 1 })).rejects.toThrow("publish_alert takes no payload, but got alert_id");
  await alerts.task({ _cron: { ts: "2026-01-01T00:00:00Z", backfilled: false } });
});
