// stats() and archive(): what StackLens says of itself, and the lifecycle at once.

import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../setup/services.ts";
import { ago, insertEvents } from "../../events.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

const stats = async () => (await db.sql`select (analytics.stats()).*`)[0]!;

test("an empty system has its rules, no events and no lag to speak of", async () => {
  expect(await stats()).toMatchObject({
    events_stored: "0",
    events_last_minute: "0",
    services: "0",
    ingest_lag: null,
    rules_enabled: "6",
    rules_failing: "0",
    alerts_firing: "0",
  });
});

test("events, services, rejects, lag and late minutes are counted", async () => {
  const now = new Date();
  await insertEvents(db.sql, [
    { time: now },
    { time: ago(now, 20), service: "api" },
    { time: ago(now, 7200), service: "old" },
  ]);
  await db.sql`
    insert into internal.ingest_offsets (topic, partition, next_offset, log_end_offset)
    values ('t', 0, 10, 25), ('t', 1, 7, 7), ('t', 2, 9, 8)`;
  await db.sql`
    insert into analytics.rejected_events (topic, partition, "offset", reason, detail) values ('t', 0, 1, 'invalid_json', 'x')`;
  const row = await stats();
  expect(row).toMatchObject({
    events_stored: "3",
    events_last_minute: "2",
    services: "3",
    ingest_lag: "15",
    rejected_last_hour: "1",
    late_minutes: "1",
  });
  expect(row.events_per_second).toBeCloseTo(2 / 60, 10);
  expect(row.newest_event).toEqual(now);
  expect(Number(row.database_bytes)).toBeGreaterThan(1e6);
});

test("archive() moves old events to the columnstore and drops what is past its time, and says how much", async () => {
  const now = new Date();
  await insertEvents(
    db.sql,
    Array.from({ length: 30 }, (_, hours) => ({ time: ago(now, hours * 3600), service: "hourly" })),
  );
  await db.sql`call internal.refresh_rollups()`;
  await db.sql`
    insert into analytics.rejected_events (received_at, topic, partition, "offset", reason, detail)
    values (now() - interval '31 days', 't', 0, 2, 'invalid_json', 'x')`;

  const rows = await db.sql`select * from analytics.archive()`;
  expect(rows.map((row) => row.tier)).toEqual(["raw", "10s", "1min", "5min", "1hour", "alerts", "rejected_events"]);
  const [raw] = rows;
  expect(Number(raw!.dropped_chunks)).toBeGreaterThanOrEqual(4);
  expect(Number(raw!.compressed_chunks)).toBeGreaterThanOrEqual(20);
  expect(rows.at(-1)!.deleted_rows).toBe("1");

  const [left] = await db.sql`
    select
      (select count(*)::int from analytics.events where service = 'hourly') as events,
      (select sum(total_requests)::int from analytics.metrics_1hour where service = 'hourly') as rolled_up`;
  expect(left!.events).toBeLessThanOrEqual(26);
  expect(left!.events).toBeGreaterThanOrEqual(25);
  expect(left!.rolled_up).toBe(30);

  const again =
    await db.sql`select sum(compressed_chunks + dropped_chunks + deleted_rows)::int as work from analytics.archive()`;
  expect(again[0]!.work).toBe(0);
});
