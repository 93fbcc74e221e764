import { spawn } from "node:child_process";
import { once } from "node:events";
import kafkajs from "kafkajs";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { kafkaJars } from "../local/kafka/jars.ts";
import { findJava, javaFlags } from "../local/kafka/java.ts";
import { ensureTopics, kafkaClient } from "../src/kafka.ts";
import { testKafka, unique } from "./setup/services.ts";

const { CompressionCodecs, CompressionTypes } = kafkajs;

const CODECS = [
  ["gzip", CompressionTypes.GZIP],
  ["snappy", CompressionTypes.Snappy],
  ["lz4", CompressionTypes.LZ4],
  ["zstd", CompressionTypes.ZSTD],
] as const;

// Compressible and not, over 64 KB in all, so that Java's snappy and lz4 write more than one block.
const LINES = Array.from({ length: 3_000 }, (_, i) => `event ${i} ${"stacklens ".repeat(i % 10)}${Math.sin(i)} é😀`);

// What kafkajs had to decompress, so that no test passes because nothing was compressed: the codec, and how the bytes began.
const decompressed: { codec: number; start: string }[] = [];
const registered = { ...CompressionCodecs };

beforeAll(() => {
  for (const [, codec] of CODECS)
    CompressionCodecs[codec] = () => {
      const { compress, decompress } = registered[codec]();
      const observe = (buffer: Buffer) => {
        decompressed.push({ codec, start: buffer.subarray(0, 8).toString("latin1") });
        return decompress(buffer);
      };
      return { compress, decompress: observe };
    };
});
afterAll(() => void Object.assign(CompressionCodecs, registered));
beforeEach(() => void decompressed.splice(0));

const brokers = () => testKafka().brokers.join(",");
const kafka = () => kafkaClient({ kafka: { brokers: testKafka().brokers, ssl: false } }, "stacklens-test");

async function newTopic(): Promise<string> {
  const topic = unique("codecs");
  await ensureTopics(kafka(), [{ topic, numPartitions: 1 }]);
  return topic;
}

async function read(topic: string, count: number): Promise<string[]> {
  const consumer = kafka().consumer({ groupId: unique("codecs") });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const values: string[] = [];
  const enough = Promise.withResolvers<void>();
  await consumer.run({
    eachMessage: async ({ message }) => {
      if (values.push(message.value!.toString()) === count) enough.resolve();
    },
  });
  await enough.promise;
  await consumer.disconnect();
  return values;
}

async function write(topic: string, compression: number, lines: string[]): Promise<void> {
  const producer = kafka().producer();
  await producer.connect();
  await producer.send({ topic, compression, messages: lines.map((value) => ({ value })) });
  await producer.disconnect();
}

test.each(CODECS)("%s: what kafkajs writes, kafkajs reads", async (_name, codec) => {
  const topic = await newTopic();
  await write(topic, codec, LINES);
  expect(await read(topic, LINES.length)).toEqual(LINES);
  expect(new Set(decompressed.map((batch) => batch.codec))).toEqual(new Set([codec]));
});

describe("with Java's own client", () => {
  let tool: ((main: string, args: string[], input?: string) => Promise<string>) | undefined;

  beforeAll(async () => {
    const java = await findJava().catch(() => undefined);
    const jars = java && (await kafkaJars(() => {}).catch(() => undefined));
    if (!java || !jars) return;
    tool = async (main, args, input = "") => {
      const child = spawn(java.program, [...javaFlags(jars), `org.apache.kafka.tools.${main}`, ...args]);
      let [out, err] = ["", ""];
      child.stdout.setEncoding("utf8").on("data", (data) => (out += data));
      child.stderr.setEncoding("utf8").on("data", (data) => (err += data));
      child.stdin.end(input);
      const [status] = await once(child, "close");
      if (status !== 0) throw new Error(err);
      return out;
    };
  }, 120_000);

  test.for(CODECS)("%s: what Java writes, kafkajs reads", async ([name, codec], context) => {
    if (!tool) return context.skip("needs Java and Maven");
    const topic = await newTopic();
    const args = ["--bootstrap-server", brokers(), "--topic", topic, "--compression-codec", name];
    const largeBatches = ["--command-property", "linger.ms=200", "--command-property", "batch.size=500000"];
    await tool("ConsoleProducer", [...args, ...largeBatches], LINES.map((line) => `${line}\n`).join(""));

    expect(await read(topic, LINES.length)).toEqual(LINES);
    expect(new Set(decompressed.map((batch) => batch.codec))).toEqual(new Set([codec]));
    if (name === "snappy") expect(decompressed[0]!.start).toBe("\x82SNAPPY\0"); // Java's framing, not raw as kafkajs writes
  });

  test("what kafkajs writes in any of them, Java reads", async (context) => {
    if (!tool) return context.skip("needs Java and Maven");
    const topic = await newTopic();
    for (const [name, codec] of CODECS)
      await write(
        topic,
        codec,
        LINES.map((line) => `${name} ${line}`),
      );
    const args = ["--bootstrap-server", brokers(), "--topic", topic, "--from-beginning"];
    const count = LINES.length * CODECS.length;
    const out = await tool("consumer.ConsoleConsumer", [...args, "--max-messages", String(count)]);
    expect(out.split("\n").slice(0, count)).toEqual(CODECS.flatMap(([name]) => LINES.map((line) => `${name} ${line}`)));
  });
});
