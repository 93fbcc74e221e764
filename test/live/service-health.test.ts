import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { health } from "../../src/live/health.ts";
import { graphqlPool } from "../../src/server/pool.ts";
import { type Api, startApi } from "../graphql/api.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { ago, insertEvents } from "../sql/events.ts";
import { overEventStream, overWebSocket, until } from "./clients.ts";

let db: TestDatabase;
let api: Api;

beforeAll(async () => {
  db = await testDatabase();
  const now = new Date();
  await insertEvents(db.sql, [
    { time: ago(now, 1), service: "web", latency_ms: 12.5, user_id: "u" },
    { time: ago(now, 1), service: "web", level: "error", latency_ms: 700 },
    { time: ago(now, 1), service: "billing" },
    { time: ago(now, 3600), service: "silent" },
  ]);
  api = await startApi(db.url);
});
afterAll(async () => {
  await api.stop();
  await db.drop();
});

const FIELDS =
  "service health totalRequests failedRequests errorRate latencyP50 latencyP95 latencyP99 latencyMean uniqueUsers highRiskCount lastSeen";

test("the health of all services at once, as the query has it, then each second", async () => {
  const { data } = await api.query(`{ serviceHealth { nodes { ${FIELDS} } } }`);
  const began = Date.now();
  const subscription = overWebSocket(api.url).subscribe(`subscription { serviceHealth { ${FIELDS} } }`);
  await until("the first", () => subscription.results.length > 0);
  // 12:00:00.5 and 12:00:00.500000 are the same time.
  const comparable = (rows: { lastSeen: string }[]) =>
    rows.map(({ lastSeen, ...row }) => ({ ...row, lastSeen: Date.parse(lastSeen) }));
  expect(comparable(subscription.results[0]!.data.serviceHealth)).toEqual(comparable(data.serviceHealth.nodes));
  expect(data.serviceHealth.nodes).toMatchObject([
    { service: "billing", health: "HEALTHY", totalRequests: 1 },
    { service: "silent", health: null, totalRequests: 0 },
    { service: "web", health: "CRITICAL", totalRequests: 2, failedRequests: 1, errorRate: 50, uniqueUsers: 1 },
  ]);

  await insertEvents(db.sql, [{ time: new Date(), service: "new" }]);
  await until("the new service", () =>
    subscription.results.at(-1)!.data.serviceHealth.some(({ service }: { service: string }) => service === "new"),
  );
  await until("three more", () => subscription.results.length >= 4, 10_000);
  expect(Date.now() - began).toBeGreaterThan(2_900);
  await subscription.stop();
});

test("one service", async () => {
  const subscription = overEventStream(api.url).subscribe('subscription { serviceHealth(service: "web") { service } }');
  await until("the first", () => subscription.results.length > 0);
  expect(subscription.results[0]).toEqual({ data: { serviceHealth: [{ service: "web" }] } });
  await subscription.stop();
});

test("thirty subscribers cost one query a second, and none when they are gone", async () => {
  const pool = graphqlPool(db.url);
  let queries = 0;
  pool.on("acquire", () => queries++);
  const source = health(pool);
  const received = Array.from({ length: 30 }, () => 0);
  const subscribers = received.map(() => source.subscribe());
  const reading = subscribers.map(async (subscriber, index) => {
    for await (const [answer] of subscriber) if (answer!.rows.length > 0) received[index]!++;
  });
  await until("three rounds", () => received.every((count) => count >= 3), 10_000);
  expect(queries).toBeLessThanOrEqual(Math.max(...received) + 1);
  expect(Math.max(...received)).toBeLessThanOrEqual(5);

  source.stop();
  await Promise.all(reading);
  const after = queries;
  await sleep(1_500);
  expect(queries - after).toBeLessThanOrEqual(1); // the one that was under way
  await pool.end();
});

test("who reads slowly gets the newest, not everything", async () => {
  const pool = graphqlPool(db.url);
  const source = health(pool);
  const slow = source.subscribe();
  await slow.next();
  const quick = source.subscribe();
  await quick.next();
  for (let n = 0; n < 3; n++) await quick.next();
  await insertEvents(db.sql, [{ time: new Date(), service: "newest" }]);
  for (let n = 0; n < 2; n++) await quick.next();
  const { value } = await slow.next();
  expect(value).toHaveLength(1);
  expect(value[0].rows.map(({ service }: { service: string }) => service)).toContain("newest");
  source.stop();
  await pool.end();
});
