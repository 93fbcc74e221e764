// What the tests of the whole ingest share: a topic with its producer, an ingester on it, and a connection that can be cut.

import { once } from "node:events";
import net from "node:net";
import kafkajs, { type Admin, type Kafka, type Producer } from "kafkajs";
import type { Config } from "../../src/config.ts";
import { startIngest } from "../../src/ingest/consumer.ts";
import { kafkaClient } from "../../src/kafka.ts";
import { testKafka, unique } from "../setup/services.ts";

export type Topic = {
  name: string;
  kafka: Kafka;
  admin: Admin;
  producer: Producer;
  /** Sends values in order, spread over the partitions, and says how many there were. */
  send: (values: (string | Buffer | object | null)[], compression?: kafkajs.CompressionTypes) => Promise<void>;
  config: (databaseUrl: string) => Config;
  close: () => Promise<void>;
};

/** A topic of its own, made unless `partitions` is 0. */
export async function testTopic(name: string, partitions: number): Promise<Topic> {
  const topic = unique(name);
  const { brokers } = testKafka();
  const kafka = kafkaClient({ kafka: { brokers, ssl: false } }, "ingest test");
  const admin = kafka.admin();
  const producer = kafka.producer({ allowAutoTopicCreation: false, idempotent: true, createPartitioner: roundRobin });
  await Promise.all([admin.connect(), producer.connect()]);
  if (partitions > 0)
    await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true });
  return {
    name: topic,
    kafka,
    admin,
    producer,
    send: async (values, compression = kafkajs.CompressionTypes.None) => {
      const messages = values.map((value) => ({
        value:
          value === null || Buffer.isBuffer(value) ? value : typeof value === "string" ? value : JSON.stringify(value),
      }));
      await producer.send({ topic, messages, compression });
    },
    config: (databaseUrl) => testConfig(databaseUrl, brokers, topic),
    close: async () => {
      await admin.deleteTopics({ topics: [topic] }).catch(() => {});
      await Promise.all([admin.disconnect(), producer.disconnect()]);
    },
  };
}

function roundRobin() {
  let next = 0;
  return ({ partitionMetadata }: { partitionMetadata: unknown[] }) => next++ % partitionMetadata.length;
}

/** The configuration of an ingester on a topic. */
export function testConfig(databaseUrl: string, brokers: string[], topic: string): Config {
  return {
    databaseUrl,
    kafka: { brokers, ssl: false },
    ingestTopic: topic,
    alertTopic: "none",
    ingestGroup: topic,
    host: "127.0.0.1",
    port: 0,
    logLevel: "info",
    corsOrigins: [],
    selfEvents: false,
    production: false,
    ide: true,
    introspection: true,
    requestsPerClient: 8,
    trustProxy: false,
  };
}

/** Runs `work` beside an ingester. */
export async function whileIngesting(config: Config, work: () => Promise<void>): Promise<void> {
  const stop = await startIngest(config);
  try {
    await work();
  } finally {
    await stop();
  }
}

/** Events that say who they are in request_id. */
export function numbered(from: number, count: number): object[] {
  return Array.from({ length: count }, (_, index) => ({
    timestamp: Date.now(),
    service: `service-${index % 7}`,
    level: "info",
    request_id: String(from + index),
  }));
}

/** A TCP connection to a database that can be cut and mended. */
export async function cuttable(databaseUrl: string) {
  const target = new URL(databaseUrl);
  const open = new Set<net.Socket>();
  let isCut = false;
  const server = net.createServer((client) => {
    if (isCut) return client.destroy();
    const upstream = net.connect({ host: target.hostname, port: Number(target.port || 5432) });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(one);
      one.setNoDelay(true);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(databaseUrl);
  url.hostname = "127.0.0.1";
  url.port = String((server.address() as net.AddressInfo).port);
  return {
    url: url.href,
    cut: () => {
      isCut = true;
      for (const socket of open) socket.destroy();
    },
    mend: () => {
      isCut = false;
    },
    close: () => {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}
