import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { ago, insertEvents } from "../sql/events.ts";
import { type Api, startApi } from "./api.ts";

let db: TestDatabase;
let api: Api;
const now = new Date(Math.floor(Date.now() / 60_000) * 60_000); // a full minute, so that buckets are known

beforeAll(async () => {
  db = await testDatabase();
  await insertEvents(
    db.sql,
    [1, 2, 3, 4].flatMap((minutes) => [
      {
        time: ago(now, minutes * 60),
        service: "web",
        latency_ms: 10 * minutes,
        business_risk_score: [0.7, 0.8, 0.9, 1][minutes - 1]!,
      },
      { time: ago(now, minutes * 60), service: "db", level: "error" as const },
    ]),
  );
  await db.sql`call internal.refresh_rollups()`;
  api = await startApi(db.url);
});
afterAll(async () => {
  await api.stop();
  await db.drop();
});

test("a list is filtered by service and by time: since included, until not", async () => {
  const { data } = await api.query(
    `query ($since: Datetime, $until: Datetime) {
      metrics1min(condition: { service: "web", since: $since, until: $until }) { nodes { bucket service } }
    }`,
    { since: ago(now, 180).toISOString(), until: ago(now, 60).toISOString() },
  );
  expect(
    data.metrics1min.nodes.map(({ bucket, service }: { bucket: string; service: string }) => [
      service,
      Date.parse(bucket),
    ]),
  ).toEqual([
    ["web", ago(now, 120).getTime()],
    ["web", ago(now, 180).getTime()],
  ]);
});

test("a range that is null is no range", async () => {
  const { data } = await api.query(
    `query ($since: Datetime) { metrics1min(condition: { since: $since }) { totalCount } }`,
    { since: null },
  );
  expect(data.metrics1min.totalCount).toBe(8);
});

test("functions take their range as arguments, and their defaults when they are left out", async () => {
  const { data, errors } = await api.query(
    `query ($since: Datetime) {
      metrics(resolution: ONE_MINUTE, service: "web", since: $since) { nodes { totalRequests latencyP50 } }
      all: metrics(resolution: ONE_MINUTE) { nodes { service } }
      serviceSummary { nodes { service totalRequests failedRequests } }
    }`,
    { since: ago(now, 120).toISOString() },
  );
  expect(errors).toBeUndefined();
  expect(data.metrics.nodes).toEqual([
    { totalRequests: 1, latencyP50: expect.closeTo(20, 0) },
    { totalRequests: 1, latencyP50: expect.closeTo(10, 0) },
  ]);
  expect(data.all.nodes).toHaveLength(8);
  expect(data.serviceSummary.nodes).toEqual([
    { service: "db", totalRequests: 4, failedRequests: 4 },
    { service: "web", totalRequests: 4, failedRequests: 0 },
  ]);
});

test("risky events have a threshold", async () => {
  const { data } = await api.query(`{
    all: highRiskEvents { nodes { businessRiskScore } }
    risky: highRiskEvents(condition: { minRiskScore: 0.9 }, orderBy: [BUSINESS_RISK_SCORE_DESC]) { nodes { businessRiskScore } }
  }`);
  expect(data.all.nodes).toHaveLength(3); // above 0.7
  expect(data.risky.nodes).toEqual([{ businessRiskScore: 1 }, { businessRiskScore: 0.9 }]);
});

test("enums filter and order", async () => {
  const { data } = await api.query(`{
    errors: events(condition: { level: ERROR }) { totalCount nodes { service level } }
    rules: alertRules(condition: { severity: CRITICAL }) { nodes { id } }
  }`);
  expect(data.errors.totalCount).toBe(4);
  expect(data.errors.nodes[0]).toEqual({ service: "db", level: "ERROR" });
  expect(data.rules.nodes).toEqual([{ id: "critical_error_rate" }, { id: "critical_p99_latency" }]);
});
