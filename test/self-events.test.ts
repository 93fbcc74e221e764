// The server's own requests, as they arrive in a real topic.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ensureTopics, kafkaClient } from "../src/kafka.ts";
import { type Api, startApi } from "./graphql/api.ts";
import { type TestDatabase, testDatabase, testKafka, unique } from "./setup/services.ts";

type Event = Record<string, unknown>;

const topic = unique("self");
const kafka = kafkaClient({ kafka: { brokers: testKafka().brokers, ssl: false } }, "stacklens test");
const consumer = kafka.consumer({ groupId: unique("self") });
const events: Event[] = [];
let db: TestDatabase;
let api: Api;

beforeAll(async () => {
  db = await testDatabase();
  await ensureTopics(kafka, [{ topic, numPartitions: 1 }]);
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({ eachMessage: async ({ message }) => void events.push(JSON.parse(message.value!.toString())) });
  api = await startApi(db.url, { selfEvents: true, ingestTopic: topic });
});
afterAll(async () => {
  await api.stop();
  await consumer.disconnect();
  await db.drop();
});

async function arrives(wanted: Event): Promise<Event> {
  for (const until = Date.now() + 20_000; ; await sleep(50)) {
    const found = events.find((event) => Object.entries(wanted).every(([key, value]) => event[key] === value));
    if (found) return found;
    if (Date.now() > until)
      throw new Error(`did not arrive: ${JSON.stringify(wanted)}; came: ${JSON.stringify(events)}`);
  }
}

test("a query is an event with the name of its operation, its time and its id", async () => {
  const before = Date.now();
  const response = await fetch(`${api.url}/graphql`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Request-Id": "test-1" },
    body: JSON.stringify({ query: "query Overview { serviceHealth { nodes { service } } }" }),
  });
  expect(response.headers.get("x-request-id")).toBe("test-1");
  expect(await arrives({ request_id: "test-1" })).toEqual({
    timestamp: expect.any(Number),
    service: "stacklens-api",
    level: "info",
    endpoint: "Overview",
    status_code: 200,
    latency_ms: expect.any(Number),
    request_id: "test-1",
    source_ip: "127.0.0.1",
  });
  const { timestamp } = await arrives({ request_id: "test-1" });
  expect(timestamp).toBeGreaterThanOrEqual(before);
  expect(timestamp).toBeLessThanOrEqual(Date.now());
});

test("the client's mistakes are warnings, ours are errors, also where GraphQL says 200", async () => {
  await api.query("query Wrong { nothing }");
  expect(await arrives({ endpoint: "Wrong" })).toMatchObject({ level: "warning", status_code: 400 });

  await db.sql`alter view analytics.slowest_services rename to away`;
  const { status } = await api.query("query Broken { slowestServices { nodes { service } } }");
  await db.sql`alter view analytics.away rename to slowest_services`;
  expect(status).toBe(200);
  expect(await arrives({ endpoint: "Broken" })).toMatchObject({ level: "error", status_code: 200 });

  await api.query('query Asked { metrics1min(condition: { since: "nonsense" }) { totalCount } }');
  expect(await arrives({ endpoint: "Asked" })).toMatchObject({ level: "info", status_code: 200 });
});

test("other paths are named after their route; probes are not events", async () => {
  for (const path of ["/", "/healthz", "/readyz", "/metrics", "/.env?x=1"])
    await (await fetch(`${api.url}${path}`)).text();
  expect(await arrives({ endpoint: "/" })).toMatchObject({ status_code: 200, level: "info" });
  expect(await arrives({ endpoint: "*" })).toMatchObject({ status_code: 404, level: "warning" });
  expect(events.map(({ endpoint }) => endpoint)).not.toContain("/readyz");
  expect(events.map(({ endpoint }) => endpoint)).not.toContain("/healthz");
  expect(events.map(({ endpoint }) => endpoint)).not.toContain("/metrics");
});

test("every request becomes one event, many at a time; stopping sends the last ones", async () => {
  const own = await startApi(db.url, { selfEvents: true, ingestTopic: topic, requestsPerClient: 200 });
  const many = Array.from({ length: 200 }, (_, index) => index);
  await Promise.all(many.map(() => own.query("query Many { retention { nodes { tier } } }")));
  await own.query("query Last { retention { nodes { tier } } }");
  await own.stop();
  await arrives({ endpoint: "Last" });
  expect(events.filter(({ endpoint }) => endpoint === "Many")).toHaveLength(200);
});

test("off, nothing is sent", async () => {
  const quiet = await startApi(db.url, { selfEvents: false, ingestTopic: topic });
  await quiet.query("query Silent { stats { services } }");
  await quiet.stop();
  await api.query("query Marker { stats { services } }");
  await arrives({ endpoint: "Marker" });
  expect(events.map(({ endpoint }) => endpoint)).not.toContain("Silent");
});

test("a topic that is not there fails no request and slows none", async () => {
  const own = await startApi(db.url, { selfEvents: true, ingestTopic: unique("absent") });
  try {
    for (let index = 0; index < 20; index++) {
      const began = performance.now();
      expect((await own.query("{ retention { nodes { tier } } }")).errors).toBeUndefined();
      expect(performance.now() - began).toBeLessThan(1_000);
    }
    for (const until = Date.now() + 15_000; Date.now() < until; await sleep(200)) {
      const text = await (await fetch(`${own.url}/metrics`)).text();
      if (/stacklens_self_events_dropped_total ([1-9]\d*)/.test(text)) return;
    }
    throw new Error("nothing was counted as dropped");
  } finally {
    await own.stop();
  }
});
