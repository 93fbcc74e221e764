import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeEach, expect, test } from "vitest";
import { freePort } from "../../../local/ports.ts";
import { ensureTopics, kafkaClient } from "../../../src/kafka.ts";
import { testKafka, unique } from "../../setup/services.ts";

const folder = mkdtempSync(join(tmpdir(), "stacklens-publish-"));
afterAll(() => rmSync(folder, { recursive: true }));

let topic: string;
const kafka = () => kafkaClient({ kafka: { brokers: testKafka().brokers, ssl: false } }, "stacklens-test");

beforeEach(async () => {
  topic = unique("publish");
  await ensureTopics(kafka(), [{ topic, numPartitions: 3 }]);
});

function start(args: string[], env: Record<string, string> = {}): ChildProcess {
  return spawn(process.execPath, ["tools/publish.ts", ...args], {
    env: { ...process.env, KAFKA_BROKERS: testKafka().brokers.join(","), INGEST_TOPIC: topic, ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
}

async function finish(child: ChildProcess) {
  let [out, err] = ["", ""];
  child.stdout!.on("data", (data) => (out += data));
  child.stderr!.on("data", (data) => (err += data));
  const [status] = await once(child, "close");
  return { status, out, err };
}

const publish = (args: string[], env?: Record<string, string>) => finish(start(args, env));

/** All events on the topic, once `count` of them are there. */
async function events(count: number): Promise<Record<string, unknown>[]> {
  const consumer = kafka().consumer({ groupId: unique("publish") });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const found: Record<string, unknown>[] = [];
  const enough = Promise.withResolvers<void>();
  if (count === 0) enough.resolve();
  await consumer.run({
    eachMessage: async ({ message }) => {
      found.push(JSON.parse(message.value!.toString()));
      if (found.length === count) enough.resolve();
    },
  });
  await enough.promise;
  await consumer.disconnect();
  return found;
}

function file(name: string, content: string | Buffer): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

/** An access log with a line a minute; the last one is from `last`. */
function accessLog(lines: number, last: Date): string {
  return Array.from({ length: lines }, (_, i) => {
    const time = new Date(last.getTime() - (lines - 1 - i) * 60_000);
    const [, day, month, year, clock] = /, (\d\d) (\w{3}) (\d{4}) ([\d:]{8})/.exec(time.toUTCString())!;
    return `203.0.113.${i % 250} - - [${day}/${month}/${year}:${clock} +0000] "GET /page/${i} HTTP/1.1" 200 ${i} "-" "test"\n`;
  }).join("");
}

test("a log is mapped into the last half hour, every line once", async () => {
  const path = file("old.log", accessLog(3_000, new Date("2015-05-20T12:00:00Z")));
  const before = Date.now();
  const { status, out } = await publish(["--service", "web", "--into-last", "30m", path]);
  const after = Date.now();
  expect(status).toBe(0);
  expect(out).toContain(`sent 3,000 events to ${topic}`);

  const sent = await events(3_000);
  expect(new Set(sent.map((event) => event.endpoint)).size).toBe(3_000);
  const times = sent.map((event) => Date.parse(event.timestamp as string));
  const [first, last] = [Math.min(...times), Math.max(...times)];
  expect(last - first).toBe(30 * 60_000);
  expect(last).toBeGreaterThanOrEqual(before);
  expect(last).toBeLessThanOrEqual(after);
});

test("without --into-last times stay, and lines that are too old are announced with the remedy", async () => {
  const path = file("stay.log", accessLog(10, new Date("2015-05-20T12:00:00Z")));
  const { status, err } = await publish(["--service", "web", path]);
  expect(status).toBe(0);
  expect(err).toContain("10 of 10 lines are from more than 1 day ago");
  expect(err).toContain("--into-last 30m");
  const times = (await events(10)).map((event) => event.timestamp as string).sort();
  expect(times[9]).toBe("2015-05-20T12:00:00.000Z");
});

test("lines that cannot be read are counted, the first three shown, and the exit status says so", async () => {
  const good = accessLog(5, new Date());
  const path = file("bad.log", `${good}bad one\nbad \u001b[2Jtwo\n\nbad three\nbad four\n`);
  const { status, out, err } = await publish(["--service", "web", path]);
  expect(status).toBe(1);
  expect(out).toContain("sent 5 events");
  expect(err).toContain("4 lines could not be read, the first 3:");
  expect(err).toContain(`${path}, line 6: not a line of an access log`);
  expect(err).toContain('"bad three"');
  expect(err).not.toContain("bad four");
  expect(err).not.toContain("\u001b"); // what is shown cannot move the terminal's cursor
  expect(await events(5)).toHaveLength(5);
});

test("a gzipped NDJSON file is sent as it is", async () => {
  const lines = Array.from({ length: 100 }, (_, i) => ({ timestamp: Date.now(), service: "api", level: "info", n: i }));
  const path = file("events.ndjson.gz", gzipSync(lines.map((line) => `${JSON.stringify(line)}\n`).join("")));
  expect(await publish([path])).toMatchObject({ status: 0, err: "" });
  expect((await events(100)).sort((a, b) => Number(a.n) - Number(b.n))).toEqual(lines);
});

test("standard input is followed: a line is sent while the stream is open", async () => {
  const child = start(["--service", "web", "-"]);
  const [one, two] = accessLog(2, new Date()).split("\n");
  child.stdin!.write(`${one}\n`);
  expect(await events(1)).toHaveLength(1);
  child.stdin!.write(`${two}\n`);
  expect(await events(2)).toHaveLength(2);
  const finished = finish(child);
  child.kill("SIGINT");
  expect(await finished).toMatchObject({ status: 0, out: expect.stringContaining("sent 2 events") });
});

test("a stream has no span to map", async () => {
  const child = start(["--service", "web", "--into-last", "30m", "-"]);
  child.stdin!.end();
  expect(await finish(child)).toMatchObject({ status: 2, err: expect.stringContaining("save it to a file first") });
});

test("events go to all partitions", async () => {
  await publish(["--service", "web", file("many.log", accessLog(10_000, new Date()))]);
  const admin = kafka().admin();
  await admin.connect();
  const offsets = await admin.fetchTopicOffsets(topic).finally(() => admin.disconnect());
  expect(offsets.map(({ offset }) => Number(offset) > 0)).toEqual([true, true, true]);
  expect(offsets.reduce((sum, { offset }) => sum + Number(offset), 0)).toBe(10_000);
});

test("no Kafka, no topic, no file: one line each", async () => {
  const path = file("small.log", accessLog(1, new Date()));
  const nowhere = `127.0.0.1:${await freePort()}`;
  const noKafka = await publish(["--service", "web", path], { KAFKA_BROKERS: nowhere });
  expect(noKafka).toMatchObject({ status: 1, out: "" });
  expect(noKafka.err).toBe(
    `no Kafka answers at ${nowhere} (Connection error: connect ECONNREFUSED ${nowhere}): start one with \`npm start\`, or set KAFKA_BROKERS\n`,
  );
  const stranger = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(stranger, "listening");
  const { port } = stranger.address() as AddressInfo;
  const oneAway = `${nowhere},127.0.0.1:${port}`;
  const notKafka = await publish(["--service", "web", path], { KAFKA_BROKERS: oneAway });
  stranger.close();
  expect(notKafka).toMatchObject({
    status: 1,
    err: expect.stringMatching(
      /^no Kafka answers at \S+,? \S+ \((Closed connection|Connection error: .*)\): start one with .*\n$/,
    ),
  });
  const secondAnswers = [nowhere, ...testKafka().brokers].join(",");
  const oneOfTwo = await publish(["--service", "web", path], { KAFKA_BROKERS: secondAnswers });
  expect(oneOfTwo).toMatchObject({ status: 0, err: expect.not.stringContaining("no Kafka") });
  const noTopic = await publish(["--service", "web", path], { INGEST_TOPIC: "no-such-topic" });
  expect(noTopic).toMatchObject({
    status: 1,
    err: expect.stringMatching(/^the Kafka at .* has no topic no-such-topic: .*\n$/),
  });
  const noFile = await publish(["--service", "web", "no-such.log"]);
  expect(noFile).toMatchObject({ status: 2, err: "no-such.log: no such file\n" });
});
