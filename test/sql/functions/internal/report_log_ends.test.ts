import { afterAll, beforeAll, expect, it } from "vitest";
import { type TestDatabase, testDatabase } from "../../../setup/services.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

it("stores the ends of the logs and gives the stored offsets", async () => {
  await db.sql`
    insert into internal.ingest_offsets (topic, partition, next_offset, checked_at)
    values ('t', 0, 5, '2026-01-01'), ('t', 1, 6, '2026-01-01'), ('other', 0, 7, '2026-01-01')`;
  const rows = await db.sql`
    select partition, next_offset::int
    from internal.report_log_ends(topic => 't', partitions => '{1,0,2}', log_end_offsets => '{60,50,70}')
    order by partition`;
  expect(rows).toEqual([
    { partition: 0, next_offset: 5 },
    { partition: 1, next_offset: 6 },
  ]);
  expect(
    await db.sql`
    select topic, partition, log_end_offset::int, checked_at > now() - interval '1 minute' as checked
    from internal.ingest_offsets order by topic, partition`,
  ).toEqual([
    { topic: "other", partition: 0, log_end_offset: null, checked: false },
    { topic: "t", partition: 0, log_end_offset: 50, checked: true },
    { topic: "t", partition: 1, log_end_offset: 60, checked: true },
  ]);
});
