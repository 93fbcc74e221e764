import { parse } from "postgraphile/graphql";
import { expect, test } from "vitest";
import { BOUNDS } from "../../src/graphql/bounds.ts";
import { atOnce } from "../../src/live/operations.ts";
import { results } from "../../src/live/results.ts";
import { AT_ONCE, stream } from "../../src/live/stream.ts";

const numbers = () => stream<number>({ limit: 1_000, full: () => {}, ended: () => {} });
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);
const answer = async (some: number[]) => some.map((n) => ({ data: { n } }));

async function take(from: AsyncIterableIterator<unknown>, count: number): Promise<unknown[]> {
  const taken = [];
  while (taken.length < count) taken.push((await from.next()).value);
  return taken;
}

test("each event has its result, in order, so many at a time", async () => {
  const source = numbers();
  const sizes: number[] = [];
  const read = results(source, 30, (some) => {
    sizes.push(some.length);
    return answer(some);
  });
  source.push(upTo(AT_ONCE + 20));
  expect(await take(read, AT_ONCE + 20)).toEqual(await answer(upTo(AT_ONCE + 20)));
  expect(sizes).toEqual([...Array(8).fill(30), 10, 20]); // 250 and 20
});

test("nothing is worked out for who does not ask", async () => {
  const source = numbers();
  const worked: number[] = [];
  const read = results(source, 2, (some) => {
    worked.push(...some);
    return answer(some);
  });
  source.push(upTo(6));
  await take(read, 2);
  expect(worked).toEqual([0, 1]);
  await take(read, 1);
  expect(worked).toEqual([0, 1, 2, 3]);
});

test("a database that is away is asked again for the same events", async () => {
  const source = numbers();
  const asked: number[][] = [];
  const read = results(source, 10, async (some) => {
    asked.push(some);
    if (asked.length < 3) throw Object.assign(new Error("away"), { code: "ECONNREFUSED" });
    return answer(some);
  });
  source.push([1, 2]);
  expect(await take(read, 2)).toEqual(await answer([1, 2]));
  expect(asked).toEqual([
    [1, 2],
    [1, 2],
    [1, 2],
  ]);
});

test("another error ends it", async () => {
  const source = numbers();
  const read = results(source, 10, () => Promise.reject(new Error("ours")));
  source.push([1]);
  await expect(read.next()).rejects.toThrow("ours");
  expect(await read.next()).toEqual({ done: true, value: undefined });
  expect(await source.next()).toEqual({ done: true, value: undefined });
});

test("who waits for an event can leave at once", async () => {
  const source = numbers();
  const read = results(source, 10, answer);
  const waiting = read.next();
  await read.return!();
  expect(await waiting).toEqual({ done: true, value: undefined });
});

test("so many events at a time that their rows stay within the bound of a query", () => {
  const document = parse(`
    subscription Few { alertChanged { alert { id } } }
    subscription Many($n: Int = 1000) { alertChanged { alert { history(first: $n) { nodes { id } } } } }`);
  const size = (operationName: string, variableValues = {}) => atOnce({ document, operationName, variableValues });
  expect(size("Few")).toBe(AT_ONCE);
  expect(size("Many")).toBe(BOUNDS.rows / 1_000);
  expect(size("Many", { n: BOUNDS.rows })).toBe(1);
});
