// The Kafka topic that events go to.

import net from "node:net";
import kafkajs from "kafkajs";
import type { Config } from "../../src/config.ts";
import { kafkaClient } from "../../src/kafka.ts";

const { CompressionTypes } = kafkajs;

const BATCH_BYTES = 500_000; // a broker takes batches of 1 MB
const CONNECT_MS = 5_000;

export type Topic = { send: (messages: string[]) => Promise<void>; close: () => Promise<void> };

/** @throws Error of one line when no Kafka answers, or it has no such topic. */
export async function openTopic(config: Config): Promise<Topic> {
  const brokers = config.kafka.brokers;
  await Promise.any(brokers.map(reach)).catch(({ errors: [first] }: AggregateError) => {
    const why = first.code ?? first.message;
    throw new Error(
      `no Kafka answers at ${brokers.join(", ")} (${why}): start one with \`npm start\`, or set KAFKA_BROKERS`,
    );
  });

  const kafka = kafkaClient(config, "stacklens-publish");
  const admin = kafka.admin();
  await admin.connect();
  const topics = await admin.listTopics().finally(() => admin.disconnect());
  if (!topics.includes(config.ingestTopic))
    throw new Error(
      `the Kafka at ${brokers.join(", ")} has no topic ${config.ingestTopic}: create it, or set INGEST_TOPIC to the right one`,
    );

  // Messages have no key: nothing in StackLens depends on the order of events, and a key of the service would put a whole log
  // into one partition. Each batch goes to the next partition as a whole, which compresses better than one message each.
  let batch = 0;
  const producer = kafka.producer({
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

function reach(broker: string): Promise<void> {
  const { hostname, port } = new URL(`kafka://${broker}`);
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) });
    socket.setTimeout(CONNECT_MS, () => socket.destroy(new Error("no answer")));
    socket.once("connect", () => resolve()).once("error", reject);
    socket.once("connect", () => socket.destroy());
  });
}
