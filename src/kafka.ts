// The one file that touches kafkajs: the connection, its log lines, its one false warning, topics, and a way to fetch logs as they are.

import { Kafka, logLevel } from "kafkajs";
import Cluster from "kafkajs/src/cluster/index.js";
import socketFactory from "kafkajs/src/network/socketFactory.js";
import Decoder from "kafkajs/src/protocol/decoder.js";
import { createErrorFromCode } from "kafkajs/src/protocol/error.js";
import fetchRequest from "kafkajs/src/protocol/requests/fetch/v4/request.js";
import { registerCodecs } from "./codecs.ts";
import type { Config } from "./config.ts";
import { log } from "./log.ts";

const LOG = { [logLevel.ERROR]: log.error, [logLevel.WARN]: log.warn, [logLevel.INFO]: log.info } as const;

// What kafkajs says of every producer (its partitioner is Java's now), of every idempotent one with a limit of tries, after a
// failed connection once more, and of every answer after which it tries again: where that does not help, the error comes back
// to the caller, who says it.
const NOISE =
  /^KafkaJS v2.0.0 switched default partitioner|^Limiting retries for the idempotent producer|^Failed to connect to seed broker|^Response /;

registerCodecs();
silenceFalseWarning();

/**
 * A client on the configured brokers that reads and writes all of Kafka's codecs. `clientId` is what the broker's logs show.
 * kafkajs's default gives up after five tries; a broker's restart takes longer: 12 tries reach about 2 minutes.
 * `quiet` is for who says by itself what goes wrong: kafkajs has a line for every try.
 */
export function kafkaClient(config: Pick<Config, "kafka">, clientId: string, retries = 12, quiet = false): Kafka {
  return new Kafka({
    ...connectionOptions(config, clientId, retries),
    logLevel: quiet ? logLevel.NOTHING : logLevel.WARN,
    logCreator: () => (entry) => {
      const { message, timestamp, logger, ...fields } = entry.log;
      if (NOISE.test(message)) return;
      const { error, broker, groupId } = fields;
      const shown = Object.entries({ client: clientId, error, broker, groupId }).filter(
        ([, value]) => value !== undefined,
      );
      LOG[entry.level as keyof typeof LOG]?.(`kafka: ${message}`, Object.fromEntries(shown));
    },
  });
}

function connectionOptions(
  { kafka: { brokers, ssl, sasl } }: Pick<Config, "kafka">,
  clientId: string,
  retries: number,
) {
  return {
    clientId,
    brokers,
    ssl,
    // Spread: kafkajs takes one type a mechanism, the configuration has their union.
    ...(sasl && { sasl: sasl as { mechanism: "plain"; username: string; password: string } }),
    connectionTimeout: 5_000,
    retry: { initialRetryTime: 200, maxRetryTime: 15_000, retries },
  };
}

/**
 * Connections for `fetchLogs`, made by the parts that kafkajs's own consumer is made of. Who calls says what goes wrong.
 */
export function fetchingCluster(config: Pick<Config, "kafka">, clientId: string): Cluster {
  const silent: Record<string, () => unknown> = { namespace: () => silent };
  for (const level of ["debug", "info", "warn", "error"]) silent[level] = () => {};
  return new Cluster({
    ...connectionOptions(config, clientId, 0),
    socketFactory: socketFactory(),
    logger: silent,
    requestTimeout: 30_000,
    enforceRequestTimeout: true,
    allowAutoTopicCreation: false,
  });
}

/** The log of a partition from an offset on, as it lies on the disk of the broker. */
export type FetchedLog = {
  partition: number;
  from: number;
  /** Offset after the last message in Kafka. */
  logEnd: number;
  aborted: AbortedTransaction[];
  /** "moved": the offset is not in the log of the partition. */
  log: Buffer | "moved";
};
/** A transaction that its producer took back: its records, from this offset on, are not there. */
export type AbortedTransaction = { producerId: bigint; firstOffset: number };
export type { Cluster };

const OFFSET_OUT_OF_RANGE = 1;

/**
 * Fetches logs from the broker that leads their partitions, and waits up to `maxWaitMs` while there is nothing.
 * kafkajs's consumer does the same and then makes ten objects of each record, which costs more than to store it.
 */
export async function fetchLogs(
  cluster: Cluster,
  leader: string,
  topic: string,
  wanted: { partition: number; offset: number }[],
  limits: { maxWaitMs: number; maxBytes: number; maxBytesPerPartition: number },
): Promise<FetchedLog[]> {
  const broker = await cluster.findBroker({ nodeId: leader });
  const partitions = wanted.map(({ partition, offset }) => ({
    partition,
    fetchOffset: offset,
    maxBytes: limits.maxBytesPerPartition,
  }));
  const from = new Map(wanted.map(({ partition, offset }) => [partition, offset]));
  return broker.connectionPool.send({
    request: fetchRequest({
      replicaId: -1,
      maxWaitTime: limits.maxWaitMs,
      minBytes: 1,
      maxBytes: limits.maxBytes,
      topics: [{ topic, partitions }],
    }),
    response: { decode: async (raw) => readFetched(raw, from), parse: async (logs) => logs },
  });
}

/** Reads the answer to a fetch of version 4. */
function readFetched(raw: Buffer, from: Map<number, number>): FetchedLog[] {
  const decoder = new Decoder(raw);
  const readLog = (): FetchedLog => {
    const partition = decoder.readInt32();
    const error = decoder.readInt16();
    if (error !== 0 && error !== OFFSET_OUT_OF_RANGE) throw createErrorFromCode(error);
    const logEnd = Number(decoder.readInt64());
    decoder.readInt64(); // last stable offset
    const aborted = decoder.readArray(() => ({
      producerId: decoder.readInt64(),
      firstOffset: Number(decoder.readInt64()),
    }));
    const log = decoder.readBytes() ?? Buffer.alloc(0);
    return { partition, from: from.get(partition)!, logEnd, aborted, log: error === 0 ? log : "moved" };
  };
  decoder.readInt32(); // throttle time
  return decoder
    .readArray(() => {
      decoder.readString(); // topic
      return decoder.readArray(readLog);
    })
    .flat();
}

/** Creates the topics that do not exist yet; a topic that exists keeps its partitions and settings. */
export async function ensureTopics(kafka: Kafka, topics: { topic: string; numPartitions: number }[]): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const existing = new Set(await admin.listTopics());
    const missing = topics.filter(({ topic }) => !existing.has(topic));
    if (missing.length > 0) await admin.createTopics({ topics: missing, waitForLeaders: true });
  } finally {
    await admin.disconnect();
  }
}

/**
 * kafkajs 2.2.4 calls setTimeout with -1 - Date.now() when nothing throttles it. That is harmless (Node takes it as 1 ms), but Node
 * warns. Only this warning, and only from kafkajs, is dropped.
 */
function silenceFalseWarning(): void {
  const emit = process.emitWarning;
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    const type = typeof rest[0] === "string" ? rest[0] : undefined;
    if (type === "TimeoutNegativeWarning" && new Error().stack?.includes("/kafkajs/")) return;
    (emit as (...all: unknown[]) => void).call(process, warning, ...rest);
  }) as typeof process.emitWarning;
}
