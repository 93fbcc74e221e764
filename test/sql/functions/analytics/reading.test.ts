// metrics(), service_summary() and sla(): the arguments, the edges, and that they agree with each other.

import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../setup/services.ts";
import { insertEvents } from "../../events.ts";

let db: TestDatabase;
let hour: number;
const at = (minutes: number) => new Date(hour + minutes * 60_000);

beforeAll(async () => {
  db = await testDatabase();
  hour = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 3 * 3_600_000;
  await insertEvents(
    db.sql,
    Array.from({ length: 120 }, (_, minute) => [
      {
        time: at(minute),
        service: "web",
        level: minute % 12 ? ("info" as const) : ("critical" as const),
        latency_ms: minute,
      },
      { time: at(minute), service: "api", latency_ms: 7 },
    ]).flat(),
  );
  await db.sql`call internal.refresh_rollups()`;
});
afterAll(() => db.drop());

const metrics = (resolution: string, service: string | null, since: Date, until: Date) => db.sql`
  select bucket, service, total_requests::int as total
  from analytics.metrics(${resolution}::text::analytics.resolution, ${service}, ${since}, ${until})`;

test("metrics() gives the buckets that start in [since, until), in order of time", async () => {
  const rows = await metrics("five_minutes", "web", at(5), at(20));
  expect([...rows]).toEqual([5, 10, 15].map((minute) => ({ bucket: at(minute), service: "web", total: 5 })));
});

test("metrics() without a service gives all, at every resolution", async () => {
  for (const [resolution, buckets] of [
    ["one_minute", 120],
    ["five_minutes", 24],
    ["one_hour", 2],
  ] as const) {
    const rows = await metrics(resolution, null, at(0), at(120));
    expect(rows.length).toBe(buckets * 2);
    expect(rows.reduce((sum, row) => sum + row.total, 0)).toBe(240);
  }
});

test("metrics() of the last hour needs no times, and an unknown service has no rows", async () => {
  await insertEvents(db.sql, [{ time: new Date(), service: "now" }]);
  const [row] = await db.sql`select count(*)::int as rows from analytics.metrics('one_minute', 'now')`;
  expect(row!.rows).toBe(1);
  expect((await metrics("one_minute", "nobody", at(0), at(120))).length).toBe(0);
  await expect(metrics("one_day", null, at(0), at(1))).rejects.toThrow(/invalid input value for enum/);
});

test("service_summary() merges the range into one row a service", async () => {
  const rows = await db.sql`
    select service, total_requests::int, failed_requests::int, error_rate, throughput, latency_min, latency_max, latency_mean
    from analytics.service_summary(${at(0)}, ${at(120)})`;
  expect(rows[0]).toMatchObject({
    service: "api",
    total_requests: 120,
    failed_requests: 0,
    error_rate: 0,
    latency_mean: 7,
  });
  expect(rows[1]).toMatchObject({
    service: "web",
    total_requests: 120,
    failed_requests: 10,
    latency_min: 0,
    latency_max: 119,
    latency_mean: 59.5,
  });
  expect(rows[1]!.error_rate).toBeCloseTo(100 / 12, 10);
  expect(rows[1]!.throughput).toBeCloseTo(120 / 7200, 10);
});

test("sla() computes availability and error budget from sums", async () => {
  const [row] = await db.sql`select * from analytics.sla('web', '6 hours', 90)`;
  expect(row).toMatchObject({ service: "web", total_requests: "120", failed_requests: "10", objective: 90, met: true });
  expect(row!.availability).toBeCloseTo(100 * (1 - 10 / 120), 10);
  expect(row!.error_budget).toBeCloseTo(12, 10);
  expect(row!.error_budget_remaining).toBeCloseTo(2, 10);
  const [strict] = await db.sql`select met, error_budget_remaining from analytics.sla('web', '6 hours', 99)`;
  expect(strict!.met).toBe(false);
  expect(strict!.error_budget_remaining).toBeCloseTo(1.2 - 10, 10);
});

test("sla() of all services, and of none", async () => {
  const rows = await db.sql`select service, met from analytics.sla(period => '6 hours') where service <> 'now'`;
  expect([...rows]).toEqual([
    { service: "api", met: true },
    { service: "web", met: false },
  ]);
  expect([...(await db.sql`select * from analytics.sla('nobody')`)]).toEqual([]);
});

test("sla() refuses what makes no sense, in words", async () => {
  await expect(db.sql`select * from analytics.sla('web', '1 day', 101)`).rejects.toThrow("the objective is 101");
  await expect(db.sql`select * from analytics.sla('web', '-1 day')`).rejects.toThrow("must be longer than zero");
  await expect(db.sql`select * from analytics.sla('web', null)`).rejects.toThrow("the period is NULL");
});

test("views, summary, SLA and buckets agree on failures and totals", async () => {
  const [row] = await db.sql`
    select
      (select sum(failed_requests) from analytics.metrics_1min where service = 'web')::int as minutes,
      (select sum(failed_requests) from analytics.metrics_1hour where service = 'web')::int as hours,
      (select failed_requests from analytics.service_summary(now() - interval '6 hours') where service = 'web')::int as summary,
      (select failed_requests from analytics.sla('web', '6 hours'))::int as sla,
      (select count(*) from analytics.events where service = 'web' and level >= 'error')::int as events`;
  expect(row).toEqual({ minutes: 10, hours: 10, summary: 10, sla: 10, events: 10 });
});
