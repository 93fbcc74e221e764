// The consumer: joins the group, has fetched what the group gives it, and starts again whenever Kafka went away.

import type { Consumer, Kafka } from "kafkajs";
import type { Config } from "../config.ts";
import { ensureTopics, fetchingCluster, kafkaClient } from "../kafka.ts";
import { log, reason } from "../log.ts";
import { watchOutage } from "../outage.ts";
import { keepFetching } from "./fetch.ts";
import { type Assignment, assign, totals } from "./partitions.ts";
import { type LogRange, openStore } from "./store.ts";
import { pause } from "./wait.ts";

const PARTITIONS_OF_A_NEW_TOPIC = 6;
const TRANSACTIONS_AT_A_TIME = 4;
// A dead ingester's partitions go to the others after the session timeout.
const GROUP = { sessionTimeout: 10_000, heartbeatInterval: 2_000, rebalanceTimeout: 30_000 };
const GROUP_LOOK_MS = 500; // at heartbeats and rebalances; stopping waits for it
const KAFKA_RETRIES = 2; // the loop below says what is wrong, and tries again
const REPORT_MS = 5_000;
const LOG_MS = 10_000;
const SETTLE_LIMIT_MS = 1_500;
const STOP_LIMIT_MS = 3_000;
const RESTART_MS = 1_000;

const never = new AbortController().signal;

/** Starts ingesting; resolves once the group has given out partitions, and gives the function that stops it. */
export async function startIngest(config: Config): Promise<() => Promise<void>> {
  const topic = config.ingestTopic;
  const stopping = new AbortController();
  const database = watchOutage("the database");
  const kafkaOutage = watchOutage("Kafka");
  const store = openStore(config.databaseUrl, TRANSACTIONS_AT_A_TIME);
  let assignment: Assignment | undefined;
  let fetching: Promise<void> | undefined;
  let consumer: Consumer | undefined;
  let joined = () => {};
  const firstJoin = new Promise<void>((resolve) => {
    joined = resolve;
  });

  /** One life of the consumer; ends with the reason why it cannot go on. */
  async function consume(): Promise<unknown> {
    const kafka = kafkaClient(config, "stacklens-ingest", KAFKA_RETRIES, config.logLevel !== "debug");
    const member = kafka.consumer({
      groupId: config.ingestGroup,
      ...GROUP,
      maxWaitTimeInMs: GROUP_LOOK_MS,
      // A crash ends this life; the loop below begins the next one.
      retry: { initialRetryTime: 200, maxRetryTime: 2_000, retries: 5, restartOnFailure: async () => false },
    });
    const crash = new Promise<unknown>((resolve) => {
      member.on(member.events.CRASH, ({ payload }) => resolve(payload.error));
    });
    try {
      await ensureTopics(kafka, [{ topic, numPartitions: PARTITIONS_OF_A_NEW_TOPIC }]);
      await member.connect();
      await member.subscribe({ topics: [topic], fromBeginning: true });
      member.on(member.events.GROUP_JOIN, ({ payload }) => {
        kafkaOutage.over();
        assignment = assign(
          {
            topic,
            store,
            database,
            kafka: kafkaOutage,
            logRanges: async () => {
              try {
                const ranges = await logRanges(kafka, topic);
                kafkaOutage.over();
                return ranges;
              } catch (error) {
                kafkaOutage.began(error);
                throw error;
              }
            },
          },
          payload.memberAssignment[topic] ?? [],
          assignment,
        );
        assignment.ready.then(joined);
        // kafkajs is here for the group only: what it fetches itself comes as objects, and too slowly.
        member.pause([{ topic }]);
        fetching = keepFetching(() => fetchingCluster(config, "stacklens-ingest"), topic, assignment, kafkaOutage);
      });
      await member.run({ autoCommit: false, eachBatch: async () => {} });
      consumer = member;
      return await Promise.race([crash, aborted(stopping.signal)]);
    } finally {
      consumer = undefined;
      assignment?.revoke();
      if (stopping.signal.aborted) {
        // The batches in hand; those that hang are undone when their connections close.
        await Promise.race([Promise.all([fetching, assignment?.settled()]), pause(SETTLE_LIMIT_MS, never)]);
        await commitToGroup(member, topic, assignment);
      }
      await member.disconnect().catch(() => {});
    }
  }

  const consuming = (async () => {
    while (!stopping.signal.aborted) {
      const error = await consume().catch((failure: unknown) => failure);
      if (stopping.signal.aborted) return;
      kafkaOutage.began(error);
      await pause(RESTART_MS, stopping.signal);
    }
  })();

  // Tells the database and the group where we are.
  const reporting = (async () => {
    for (;;) {
      await pause(REPORT_MS, stopping.signal);
      if (stopping.signal.aborted) return;
      if (consumer === undefined) continue;
      await assignment?.report().catch((error) => log.debug("no report of the lag", { reason: reason(error) }));
      if (consumer) await commitToGroup(consumer, topic, assignment);
    }
  })();

  const logging = setInterval(
    logRates(() => assignment),
    LOG_MS,
  );

  await Promise.race([firstJoin, consuming]);

  return async () => {
    clearInterval(logging);
    stopping.abort();
    await Promise.race([Promise.allSettled([consuming, reporting]), pause(STOP_LIMIT_MS, never)]);
    await Promise.race([store.end(), pause(500, never)]);
  };
}

/** Through a connection of its own each time: kafkajs may take five minutes to notice new partitions on an old one. */
async function logRanges(kafka: Kafka, topic: string): Promise<LogRange[]> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const offsets = await admin.fetchTopicOffsets(topic);
    return offsets.map(({ partition, low, high }) => ({ partition, start: Number(low), end: Number(high) }));
  } finally {
    await admin.disconnect();
  }
}

/** Tells the group what is stored. Nothing here reads it, but tools that show the lag of consumer groups do. */
async function commitToGroup(consumer: Consumer, topic: string, assignment: Assignment | undefined): Promise<void> {
  const offsets = [...(assignment?.partitions.values() ?? [])]
    .filter(({ stored }) => stored > 0)
    .map(({ number, stored }) => ({ topic, partition: number, offset: String(stored) }));
  if (offsets.length === 0) return;
  await consumer
    .commitOffsets(offsets)
    .catch((error) => log.debug("no commit of offsets to the group", { reason: reason(error) }));
}

function logRates(assignment: () => Assignment | undefined): () => void {
  let before = { ...totals };
  return () => {
    const seconds = LOG_MS / 1000;
    const rejected = totals.rejected - before.rejected;
    if (rejected > 0) log.warn("messages were rejected: analytics.rejected_events says why", { rejected });
    log.debug("ingest", {
      events_per_s: Math.round((totals.events - before.events) / seconds),
      rejected,
      transactions_per_s: Math.round((totals.transactions - before.transactions) / seconds),
      partitions: assignment()?.partitions.size ?? 0,
    });
    before = { ...totals };
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
