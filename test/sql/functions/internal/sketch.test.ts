// Distinct counts up to a million against the exact ones.

import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../setup/services.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

const estimate = async (rows: string) => {
  const [row] = await db.sql.unsafe(`
    select
      internal.sketch_estimate(internal.sketch(internal.sketch_cell(hashtextextended(value, 0)), 1))::int as estimate,
      count(distinct value)::int as exact
    from (${rows}) as rows (value)`);
  return row as unknown as { estimate: number; exact: number };
};

for (const [size, prefix] of [
  [1, "user-"],
  [2, "user-"],
  [10, "user-"],
  [100, "u"],
  [1_000, "customer "],
  [10_000, "user-"],
  [100_000, ""],
  [300_000, "x"],
  [1_000_000, "user-"],
] as const)
  test(`${size} distinct values are counted within 5 %`, async () => {
    const { estimate: estimated, exact } = await estimate(
      `select '${prefix}' || n from generate_series(1, ${size}) as n`,
    );
    expect(exact).toBe(size);
    expect(Math.abs(estimated - size)).toBeLessThanOrEqual(Math.max(0.05 * size, 0.5));
  });

test("the error over many sets is the one that the formula promises", async () => {
  const [row] = await db.sql`
    select stddev_pop(estimate / 2000.0) as deviation, avg(estimate / 2000.0) as mean
    from (
      select internal.sketch_estimate(internal.sketch(internal.sketch_cell(hashtextextended(n::text, seed)), 1)) as estimate
      from generate_series(1, 100) as seed, generate_series(1, 2000) as n
      group by seed
    ) as estimates`;
  expect(Number(row!.deviation)).toBeLessThan(0.02); // 0.015 expected; the deviation of 100 samples varies by 7 %
  expect(Math.abs(Number(row!.mean) - 1)).toBeLessThan(0.006); // four standard errors of the mean
});

test("repeated values and NULLs do not count", async () => {
  const { estimate: estimated, exact } = await estimate(`
    select case when n % 2 = 0 then 'user-' || n % 500 end from generate_series(1, 10000) as n`);
  expect(exact).toBe(250);
  expect(Math.abs(estimated / exact - 1)).toBeLessThan(0.05);
});

test("nothing counts as nothing", async () => {
  expect((await estimate("select null::text from generate_series(1, 5)")).estimate).toBe(0);
  expect((await estimate("select 'a'::text where false")).estimate).toBe(0);
});

test("merging sketches gives the sketch of all values, overlaps counted once", async () => {
  const [row] = await db.sql`
    with values as (
      select part, 'user-' || n as value
      from generate_series(0, 9) as part, generate_series(part * 500 + 1, part * 500 + 1000) as n
    ),
    parts as (
      select internal.sketch(internal.sketch_cell(hashtextextended(value, 0)), 1) as sketch from values group by part
    )
    select
      (select bit_or(sketch) from parts) = internal.sketch(internal.sketch_cell(hashtextextended(value, 0)), 1) as same
    from values`;
  expect(row!.same).toBe(true);
});
