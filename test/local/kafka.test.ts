import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { kafkaJars } from "../../local/kafka/jars.ts";
import { findJava } from "../../local/kafka/java.ts";
import { type LocalKafka, startKafka } from "../../local/kafka.ts";
import { freePort } from "../../local/ports.ts";
import { kafkaClient } from "../../src/kafka.ts";
import { unique } from "../setup/services.ts";

const root = mkdtempSync(join(tmpdir(), "stacklens-kafka-"));
afterAll(() => rmSync(root, { recursive: true }));

const hasJava = await findJava().then(
  () => true,
  () => false,
);

const client = (kafka: LocalKafka) =>
  kafkaClient({ kafka: { brokers: [kafka.brokers], ssl: false } }, "stacklens-test");

async function send(kafka: LocalKafka, ...values: string[]): Promise<void> {
  const producer = client(kafka).producer({ idempotent: true });
  await producer.connect();
  await producer.send({ topic: "stacklens-analytics", messages: values.map((value) => ({ value })) });
  await producer.disconnect();
}

async function read(kafka: LocalKafka, count: number): Promise<string[]> {
  const consumer = client(kafka).consumer({ groupId: unique("local") });
  await consumer.connect();
  await consumer.subscribe({ topics: ["stacklens-analytics"], fromBeginning: true });
  const values: string[] = [];
  const enough = Promise.withResolvers<void>();
  await consumer.run({
    eachMessage: async ({ message }) => {
      if (values.push(message.value!.toString()) === count) enough.resolve();
    },
  });
  await enough.promise;
  await consumer.disconnect();
  return values.sort();
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasJava)("the local Kafka", { timeout: 180_000 }, () => {
  const dataDir = join(root, "kafka");
  let port: number;
  let kafka: LocalKafka;

  beforeAll(async () => {
    port = await freePort();
    kafka = await startKafka({ dataDir, port });
  }, 180_000);
  afterAll(() => kafka?.stop());

  test("has the topics, and makes no others by a typo", async () => {
    const admin = client(kafka).admin();
    await admin.connect();
    const { topics } = await admin.fetchTopicMetadata({ topics: ["stacklens-analytics", "analytics-alerts"] });
    expect(topics.map(({ name, partitions }) => [name, partitions.length]).sort()).toEqual([
      ["analytics-alerts", 1],
      ["stacklens-analytics", 3],
    ]);
    const typo = kafkaClient({ kafka: { brokers: [kafka.brokers], ssl: false } }, "stacklens-test", 0).producer();
    await typo.connect();
    await expect(typo.send({ topic: "stacklens-analitics", messages: [{ value: "x" }] })).rejects.toThrow();
    await typo.disconnect();
    expect((await admin.listTopics()).includes("stacklens-analitics")).toBe(false);
    await admin.disconnect();
  });

  test("keeps messages over a stop and over kill -9", async () => {
    await send(kafka, "before the stop");
    await kafka.stop();
    expect(alive(kafka.pid)).toBe(false);

    kafka = await startKafka({ dataDir, port });
    await send(kafka, "before the kill");
    process.kill(kafka.pid, "SIGKILL");
    expect(await kafka.exited).toBe("Kafka ended (SIGKILL)");

    kafka = await startKafka({ dataDir, port });
    await send(kafka, "now");
    expect(await read(kafka, 3)).toEqual(["before the kill", "before the stop", "now"]);
  });

  test("stops within 5 s", async () => {
    const began = Date.now();
    await kafka.stop();
    expect(Date.now() - began).toBeLessThan(5_000);
    kafka = await startKafka({ dataDir, port });
  });

  test("a second one on the same folder says so, and does not disturb the first", async () => {
    const second = startKafka({ dataDir, port: await freePort() });
    await expect(second).rejects.toThrow(
      `another Kafka (process ${kafka.pid}) uses ${dataDir}: stop it, or set KAFKA_BROKERS to use it`,
    );
    await send(kafka, "still there");
  });

  test("a busy port is named", async () => {
    await expect(startKafka({ dataDir: join(root, "other"), port })).rejects.toThrow(`port ${port} is busy`);
  });
});

describe.skipIf(!hasJava)("a data folder", { timeout: 120_000 }, () => {
  test.each(["no meta.properties", "a meta.properties of garbage"])(
    "that is damaged is named with the remedy: %s",
    async (how) => {
      const dataDir = join(root, how);
      mkdirSync(join(dataDir, "data", "__cluster_metadata-0"), { recursive: true });
      if (how.startsWith("a ")) writeFileSync(join(dataDir, "data", "meta.properties"), "\u0000garbage");
      const start = startKafka({ dataDir, port: await freePort() });
      await expect(start).rejects.toThrow(/^Kafka cannot start on .*: .*\. If the folder is damaged, delete it/);
    },
  );

  test("that is a file is named", async () => {
    const dataDir = join(root, "file");
    writeFileSync(dataDir, "");
    await expect(startKafka({ dataDir, port: await freePort() })).rejects.toThrow(
      `${dataDir} cannot be Kafka's data folder`,
    );
  });
});

describe("what is missing on the machine is said in one line", () => {
  const { JAVA_HOME, PATH } = process.env;
  afterEach(() => {
    process.env.PATH = PATH;
    if (JAVA_HOME === undefined) delete process.env.JAVA_HOME;
    else process.env.JAVA_HOME = JAVA_HOME;
  });

  test("Java", async () => {
    delete process.env.JAVA_HOME;
    process.env.PATH = root;
    await expect(findJava()).rejects.toThrow(
      /^there is no Java on the PATH, .* Java 17 or newer: install it, or set KAFKA_BROKERS/,
    );
    process.env.JAVA_HOME = root;
    await expect(findJava()).rejects.toThrow(`JAVA_HOME (${root}) has no working bin/java`);
  });

  test("Maven", async () => {
    process.env.PATH = root;
    const cache = join(root, "jars");
    await expect(kafkaJars(() => {}, cache)).rejects.toThrow(/^there is no Maven \(mvn\) on the PATH/);
    expect(existsSync(cache)).toBe(false);
  });
});

test("the free port is free, and a port that listens is busy", async () => {
  const { portIsBusy, portListens } = await import("../../local/ports.ts");
  const port = await freePort();
  expect([await portIsBusy(port), await portListens(port)]).toEqual([false, false]);
  const server = net.createServer().listen(port, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  expect([await portIsBusy(port), await portListens(port)]).toEqual([true, true]);
  server.close();
});
