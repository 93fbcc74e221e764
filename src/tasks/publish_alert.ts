// Sends alert messages to Kafka in the order in which they were written, until none is left. One job sends for all alerts: a
// storm of 10 000 alerts is 20 batches and not 10 000 jobs, and no message can overtake an earlier one of its alert.
// While Kafka is away the producer tries again by itself, every 5 s at the latest, and the lease on sending is held. If the job
// fails, Graphile Worker tries again after 3, 7, 20 s, and cron at the next minute at the latest.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Kafka, Partitioners, type Producer } from "kafkajs";
import type { Sql } from "../db.ts";
import { ensureTopics } from "../kafka.ts";
import { log, reason } from "../log.ts";
import { expectNoPayload } from "./payload.ts";

const PARTITIONS = 3;
const RENEW_MS = 3_000; // of a lease of 10 s
const DISCONNECT_LIMIT_MS = 1_000;

type Row = { id: string; key: string; message: string };

/** Task publish_alert, and what closes its connection to Kafka, which is made at once so that the first alert need not wait. */
export function publishAlert(sql: Sql, kafka: Kafka, topic: string) {
  let producer: Promise<Producer> | undefined;

  const connect = () => {
    producer ??= (async () => {
      await ensureTopics(kafka, [{ topic, numPartitions: PARTITIONS }]);
      const created = kafka.producer({
        idempotent: true,
        createPartitioner: Partitioners.DefaultPartitioner,
        retry: { retries: Number.MAX_SAFE_INTEGER, initialRetryTime: 100, maxRetryTime: 5_000 },
      });
      await created.connect();
      return created;
    })();
    return producer;
  };

  // One whose send has failed has lost count of its sequence numbers. One that still looks for its brokers is not waited for.
  const disconnect = async () => {
    const old = producer;
    producer = undefined;
    const gone = old?.then((connected) => connected.disconnect()).catch(() => {});
    await Promise.race([gone, sleep(DISCONNECT_LIMIT_MS, undefined, { ref: false })]);
  };

  const task = async (payload: unknown, helpers?: { abortSignal?: AbortSignal }) => {
    expectNoPayload("publish_alert", payload);
    const holder = randomUUID();
    const renewing = setInterval(() => {
      sql`select internal.hold_alert_messages(holder => ${holder})`.catch((error) =>
        log.debug("lease on alert messages not renewed", { error }),
      );
    }, RENEW_MS);
    let count = 0;
    try {
      for (let sent: string[] = []; ; ) {
        const rows = await sql<Row[]>`
          select id, key, message from internal.next_alert_messages(holder => ${holder}, sent => ${sent}::bigint[])`;
        if (rows.length === 0) break;
        const messages = rows.map(({ key, message }) => ({ key, value: message }));
        const sending = connect().then((connected) => connected.send({ topic, acks: -1, messages }));
        await unlessAborted(sending, helpers?.abortSignal);
        sent = rows.map(({ id }) => id);
        count += rows.length;
      }
    } catch (error) {
      await disconnect();
      clearInterval(renewing);
      await sql`select internal.hold_alert_messages(holder => ${holder}, lease => '0')`;
      throw error;
    } finally {
      clearInterval(renewing);
    }
    if (count > 0) log.info("alert messages sent", { count });
  };

  connect().catch((error) => {
    log.warn(`alert messages wait for Kafka: ${reason(error)}`);
    producer = undefined;
  });
  return { task, stop: disconnect };
}

async function unlessAborted<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return work;
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(new Error("the worker stops")), { once: true });
  });
  return Promise.race([work, aborted]);
}
