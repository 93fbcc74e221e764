// Sends alert messages to Kafka in the order in which they were written, until none is left. One job sends for all alerts: a
// storm of 10 000 alerts is 20 batches and not 10 000 jobs, and no message can overtake an earlier one of its alert. If it fails,
// Graphile Worker tries again after 3, 7, 20 s, and cron at the next minute at the latest, however long Kafka was away.

import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import type { Kafka, Producer } from "kafkajs";
import type { Sql } from "../db.ts";
import { ensureTopics } from "../kafka.ts";
import { log } from "../log.ts";
import { expectNoPayload } from "./payload.ts";

const PARTITIONS = 3;
/** Well below the lease of 30 s that internal.next_alert_messages gives. */
const SEND_LIMIT_MS = 15_000;
const DISCONNECT_LIMIT_MS = 1_000;

type Row = { id: string; key: string; message: string };

/** Task publish_alert, and what closes its connection to Kafka. */
export function publishAlert(sql: Sql, kafka: Kafka, topic: string) {
  let producer: Promise<Producer> | undefined;

  const connect = async () => {
    await ensureTopics(kafka, [{ topic, numPartitions: PARTITIONS }]);
    const created = kafka.producer({ idempotent: true, retry: { retries: 5, initialRetryTime: 200 } });
    await created.connect();
    return created;
  };

  const send = async (rows: Row[]) => {
    producer ??= connect();
    const messages = rows.map(({ key, message }) => ({ key, value: message }));
    await (await producer).send({ topic, acks: -1, messages });
  };

  // A producer whose send has failed may still be trying, and has lost count of its sequence numbers. One that is still looking
  // for its brokers is not waited for.
  const disconnect = async () => {
    const old = producer;
    producer = undefined;
    const gone = old?.then((connected) => connected.disconnect()).catch(() => {});
    await Promise.race([gone, setTimeout(DISCONNECT_LIMIT_MS, undefined, { ref: false })]);
  };

  const task = async (payload: unknown, helpers?: { abortSignal?: AbortSignal }) => {
    expectNoPayload("publish_alert", payload);
    helpers?.abortSignal?.addEventListener("abort", disconnect);
    const holder = randomUUID();
    let count = 0;
    try {
      for (let sent: string[] = []; ; ) {
        const rows = await sql<Row[]>`
          select id, key, message from internal.next_alert_messages(holder => ${holder}, sent => ${sent}::bigint[])`;
        if (rows.length === 0) break;
        await within(SEND_LIMIT_MS, send(rows));
        sent = rows.map(({ id }) => id);
        count += rows.length;
      }
    } catch (error) {
      await disconnect();
      await sql`select internal.release_alert_messages(holder => ${holder})`;
      throw error;
    }
    if (count > 0) log.info("alert messages sent", { count });
  };

  return { task, stop: disconnect };
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const limit = setTimeout(limitMs, undefined, { signal: timer.signal }).then((): never => {
    throw new Error(`Kafka did not answer within ${limitMs / 1_000} s`);
  });
  limit.catch(() => {});
  return Promise.race([work, limit]).finally(() => timer.abort());
}
