// The metric views, health and rankings against the same numbers counted from the raw events.

import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../setup/services.ts";
import { ago, insertEvents, type TestEvent } from "../events.ts";

let db: TestDatabase;
let now: Date;

const requests = (service: string, seconds: number, count: number, failed: number, latency_ms: number): TestEvent[] =>
  Array.from({ length: count }, (_, n) => ({
    time: ago(now, seconds + n / count),
    service,
    endpoint: n % 2 ? "/a" : "/b",
    level: n < failed ? "error" : "info",
    latency_ms,
    user_id: `user-${n % 10}`,
    source_ip: `10.0.0.${n % 5}`,
    business_risk_score: n < 3 ? 0.9 : 0.7,
  }));

beforeAll(async () => {
  db = await testDatabase();
  now = new Date();
  await insertEvents(db.sql, [
    ...requests("fine", 10, 100, 5, 20), // 5 % is not more than 5 %
    ...requests("slow", 10, 100, 0, 900),
    ...requests("failing", 10, 100, 6, 20),
    ...requests("broken", 10, 100, 21, 20),
    ...requests("silent", 600, 50, 50, 30),
  ]);
});
afterAll(() => db.drop());

test("service_health judges the last minute by its rule, and names the silent one without a verdict", async () => {
  const rows =
    await db.sql`select service, health, total_requests::int, error_rate from analytics.service_health order by service`;
  expect([...rows]).toEqual([
    { service: "broken", health: "critical", total_requests: 100, error_rate: 21 },
    { service: "failing", health: "warning", total_requests: 100, error_rate: 6 },
    { service: "fine", health: "healthy", total_requests: 100, error_rate: 5 },
    { service: "silent", health: null, total_requests: 0, error_rate: null },
    { service: "slow", health: "warning", total_requests: 100, error_rate: 0 },
  ]);
});

test("the metric views count users, addresses, risk and failures of each service", async () => {
  for (const view of ["metrics_1min", "metrics_5min", "metrics_1hour"]) {
    const [row] = await db.sql`
      select
        sum(total_requests)::int as total, sum(successful_requests)::int as successful, sum(failed_requests)::int as failed,
        min(latency_min) as latency_min, max(latency_max) as latency_max, max(unique_users)::int as users,
        max(unique_ips)::int as ips, sum(high_risk_count)::int as high_risk
      from ${db.sql("analytics")}.${db.sql(view)} where service = 'failing'`;
    expect(row, view).toEqual({
      total: 100,
      successful: 94,
      failed: 6,
      latency_min: 20,
      latency_max: 20,
      users: 10,
      ips: 5,
      high_risk: 3,
    });
  }
});

test("endpoint_metrics_5min splits a service by endpoint", async () => {
  const rows = await db.sql`
    select endpoint, sum(total_requests)::int as total, sum(failed_requests)::int as failed
    from analytics.endpoint_metrics_5min where service = 'broken' group by endpoint order by endpoint`;
  expect([...rows]).toEqual([
    { endpoint: "/a", total: 50, failed: 10 },
    { endpoint: "/b", total: 50, failed: 11 },
  ]);
});

test("top_error_services ranks the last hour by failures and leaves out who has none", async () => {
  const rows = await db.sql`select rank::int, service, failed_requests::int from analytics.top_error_services`;
  expect([...rows]).toEqual([
    { rank: 1, service: "silent", failed_requests: 50 },
    { rank: 2, service: "broken", failed_requests: 21 },
    { rank: 3, service: "failing", failed_requests: 6 },
    { rank: 4, service: "fine", failed_requests: 5 },
  ]);
});

test("slowest_services ranks the last hour by p95", async () => {
  const rows = await db.sql`select rank::int, service, latency_p95 from analytics.slowest_services limit 2`;
  expect([...rows]).toEqual([
    { rank: 1, service: "slow", latency_p95: 900 },
    { rank: 2, service: "silent", latency_p95: 30 },
  ]);
});

test("high_risk_events are those above 0.7, not at it", async () => {
  const [row] = await db.sql`
    select count(*)::int as events, min(business_risk_score) as lowest from analytics.high_risk_events`;
  expect(row).toEqual({ events: 15, lowest: 0.9 });
});

test("performance_trend gives each bucket the change against the one before", async () => {
  const own = await testDatabase();
  try {
    const hour = new Date(Math.floor(now.getTime() / 3_600_000) * 3_600_000 - 3_600_000);
    await insertEvents(own.sql, [
      { time: hour, latency_ms: 100 },
      { time: hour, latency_ms: 100 },
      { time: new Date(hour.getTime() + 300_000), latency_ms: 150, level: "error" },
    ]);
    const rows = await own.sql`
      select total_requests_change::int as requests, error_rate_change as errors, latency_p95_change as p95
      from analytics.performance_trend order by bucket`;
    expect([...rows]).toEqual([
      { requests: null, errors: null, p95: null },
      { requests: -1, errors: 100, p95: 50 },
    ]);
  } finally {
    await own.drop();
  }
});
