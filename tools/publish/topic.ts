// The Kafka topic that events go to.

import kafkajs from "kafkajs";
import type { Config } from "../../src/config.ts";
import { kafkaClient } from "../../src/kafka.ts";

const { CompressionTypes } = kafkajs;

const BATCH_BYTES = 500_000; // a broker takes batches of 1 MB

export type Topic = { send: (messages: string[]) => Promise<void>; close: () => Promise<void> };

/** @throws Error of one line when no Kafka answers, or it has no such topic. */
export async function openTopic(config: Config): Promise<Topic> {
  const brokers = config.kafka.brokers;
  const topics = await listTopics(config).catch((error: Error) => {
    throw new Error(
      `no Kafka answers at ${brokers.join(", ")} (${error.message}): start one with \`npm start\`, or set KAFKA_BROKERS`,
    );
  });
  if (!topics.includes(config.ingestTopic))
    throw new Error(
      `the Kafka at ${brokers.join(", ")} has no topic ${config.ingestTopic}: create it, or set INGEST_TOPIC to the right one`,
    );

  // Messages have no key: nothing in StackLens depends on the order of events, and a key of the service would put a whole log
  // into one partition. Each batch goes to the next partition as a whole, which compresses better than one message each.
  let batch = 0;
  const producer = kafkaClient(config, "stacklens-publish").producer({
    idempotent: true, // a batch that is sent again after a lost answer does not count twice
    maxInFlightRequests: 1,
    createPartitioner:
      () =>
      ({ partitionMetadata }) =>
        partitionMetadata[batch % partitionMetadata.length]!.partitionId,
  });
  await producer.connect();

  const sendBatch = async (values: string[]) => {
    batch++;
    const messages = values.map((value) => ({ value }));
    await producer.send({ topic: config.ingestTopic, compression: CompressionTypes.LZ4, messages });
  };
  return {
    send: async (messages) => {
      for (let from = 0; from < messages.length; ) {
        let bytes = 0;
        let to = from;
        do bytes += Buffer.byteLength(messages[to++]!);
        while (to < messages.length && bytes + Buffer.byteLength(messages[to]!) <= BATCH_BYTES);
        await sendBatch(messages.slice(from, to));
        from = to;
      }
    },
    close: () => producer.disconnect(),
  };
}

/** Each broker is tried once: who publishes by hand waits for none that is not there. */
async function listTopics(config: Config): Promise<string[]> {
  const admin = kafkaClient(config, "stacklens-publish", config.kafka.brokers.length - 1, true).admin();
  await admin.connect();
  return admin.listTopics().finally(() => admin.disconnect());
}
