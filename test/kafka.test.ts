import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { freePort } from "../local/ports.ts";
import { ensureTopics, kafkaClient } from "../src/kafka.ts";
import { testKafka, unique } from "./setup/services.ts";

const config = { kafka: { brokers: testKafka().brokers, ssl: false } };

async function partitions(topics: string[]): Promise<number[]> {
  const admin = kafkaClient(config, "stacklens-test").admin();
  await admin.connect();
  const found = await admin.fetchTopicMetadata({ topics }).finally(() => admin.disconnect());
  return topics.map((topic) => found.topics.find(({ name }) => name === topic)!.partitions.length);
}

/** What a program writes to standard error. */
async function written(program: string): Promise<string> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let err = "";
  child.stderr.on("data", (data) => (err += data));
  await once(child, "close");
  return err;
}

test("topics are made that are missing, and the others stay as they are", async () => {
  const [one, two] = [unique("topics"), unique("topics")];
  const kafka = kafkaClient(config, "stacklens-test");
  await ensureTopics(kafka, [{ topic: one, numPartitions: 2 }]);
  await ensureTopics(kafka, [
    { topic: one, numPartitions: 5 },
    { topic: two, numPartitions: 3 },
  ]);
  expect(await partitions([one, two])).toEqual([2, 3]);
});

test("a client says nothing while all is well", async () => {
  const err = await written(`
    import { kafkaClient } from "./src/kafka.ts";
    const kafka = kafkaClient({ kafka: { brokers: ${JSON.stringify(config.kafka.brokers)}, ssl: false } }, "quiet");
    const producer = kafka.producer({ idempotent: true });
    await producer.connect();
    await new Promise((resolve) => setTimeout(resolve, 500));
    await producer.disconnect();`);
  expect(err).toBe("");
});

test("other warnings of a negative time-out are shown", async () => {
  const err = await written('import "./src/kafka.ts"; setTimeout(() => {}, -5);');
  expect(err).toContain("TimeoutNegativeWarning");
});

test("what goes wrong is a line of the log with the client's name", async () => {
  const nowhere = `127.0.0.1:${await freePort()}`;
  const err = await written(`
    import { kafkaClient } from "./src/kafka.ts";
    const admin = kafkaClient({ kafka: { brokers: ["${nowhere}"], ssl: false } }, "lost", 0).admin();
    await admin.connect().catch(() => {});`);
  expect(err).toMatch(/^\S+ error kafka: Connection error: .*ECONNREFUSED.* client=lost .*\n$/);
});
