import { afterAll, beforeAll, expect, test } from "vitest";
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
  expect(subscription.results[0]).toEqual({ data: { serviceHealth: data.serviceHealth.nodes } });
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
  const [calls] = [
    async () => {
      const [{ count }] = (await db.sql`
        select coalesce(sum(calls), 0)::int as count
        from pg_stat_user_functions where schemaname = 'internal' and funcname = 'window_metrics'`) as [{ count: number }];
      return count;
    },
  ];
  const [counts] = await db.sql`select current_setting('track_functions') as setting`;
  if (counts!.setting === "none") await db.sql.unsafe(`alter database "${new URL(db.url).pathname.slice(1)}" set track_functions = 'all'`);
  expect(await calls()).toBeGreaterThanOrEqual(0);
});
