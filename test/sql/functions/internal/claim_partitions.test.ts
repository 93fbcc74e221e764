import { afterAll, beforeAll, expect, it } from "vitest";
import { type TestDatabase, testDatabase } from "../../../setup/services.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

/** Claims partition 0 of a topic whose log is [100, 200); `stored` is what the ingester had read, `now` what is there. */
async function claim(topic: string, stored: number | null, now = stored): Promise<number> {
  if (now !== null)
    await db.sql`insert into internal.ingest_offsets (topic, partition, next_offset) values (${topic}, 0, ${now})`;
  const [row] = await db.sql`
    select next_offset::int from internal.claim_partitions(
      topic => ${topic}, partitions => ${[0]}::int[], stored_offsets => ${[stored]}::bigint[],
      log_start_offsets => ${[100]}::bigint[], log_end_offsets => ${[200]}::bigint[]
    )`;
  return row!.next_offset;
}

it("starts a partition never seen at the start of its log", async () => {
  expect(await claim("new", null)).toBe(100);
});

it.each([100, 150, 200])("goes on from a stored offset within the log: %i", async (stored) => {
  expect(await claim(`within ${stored}`, stored)).toBe(stored);
});

it.each([0, 99, 201])("starts again at the start of the log from an offset outside of it: %i", async (stored) => {
  expect(await claim(`outside ${stored}`, stored)).toBe(100);
});

it("does not start again when the offset moved after it was read", async () => {
  expect(await claim("moved", 201, 250)).toBe(250);
  expect(await claim("inserted", null, 250)).toBe(250);
});

it("gives every partition, and says how far its log reaches", async () => {
  const rows = await db.sql`
    select partition, next_offset::int from internal.claim_partitions(
      topic => 'several', partitions => '{2,0,1}', stored_offsets => '{null,null,null}',
      log_start_offsets => '{5,0,7}', log_end_offsets => '{9,8,7}'
    ) order by partition`;
  expect(rows).toEqual([
    { partition: 0, next_offset: 0 },
    { partition: 1, next_offset: 7 },
    { partition: 2, next_offset: 5 },
  ]);
  expect(
    await db.sql`
    select partition, (log_end_offset - next_offset)::int as lag
    from internal.ingest_offsets where topic = 'several' order by partition`,
  ).toEqual([
    { partition: 0, lag: 8 },
    { partition: 1, lag: 0 },
    { partition: 2, lag: 4 },
  ]);
});
