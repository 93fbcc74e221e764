// The one file that touches kafkajs: the connection, its log lines, its one false warning, and topics.

import { Kafka, logLevel } from "kafkajs";
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
  const { brokers, ssl, sasl } = config.kafka;
  return new Kafka({
    clientId,
    brokers,
    ssl,
    // Spread: kafkajs takes one type a mechanism, the configuration has their union.
    ...(sasl && { sasl: sasl as { mechanism: "plain"; username: string; password: string } }),
    connectionTimeout: 5_000,
    retry: { initialRetryTime: 200, maxRetryTime: 15_000, retries },
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
