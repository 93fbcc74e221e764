import fc from "fast-check";
import { expect, test } from "vitest";
import { intoLast, readDuration, refused } from "../../../tools/publish/time.ts";

const NOW = Date.parse("2026-07-01T12:00:00Z");
const HOUR = 3_600_000;

test("the span of a log is mapped onto the last half hour", () => {
  const first = Date.parse("2015-05-17T10:00:00Z");
  const last = Date.parse("2015-05-20T10:00:00Z");
  const place = intoLast(first, last, HOUR / 2, NOW);
  expect(place(last)).toBe(NOW);
  expect(place(first)).toBe(NOW - HOUR / 2);
  expect(place((first + last) / 2)).toBe(NOW - HOUR / 4);
});

test("a log of one moment goes to now", () => {
  expect(intoLast(5, 5, HOUR, NOW)(5)).toBe(NOW);
});

test("order is kept, and everything falls into the span", () => {
  const ms = fc.integer({ min: 0, max: 4e12 });
  fc.assert(
    fc.property(fc.array(ms, { minLength: 2 }), fc.integer({ min: 1, max: 24 * HOUR }), (times, length) => {
      times.sort((a, b) => a - b);
      const placed = times.map(intoLast(times[0]!, times.at(-1)!, length, NOW));
      expect(placed).toEqual(placed.toSorted((a, b) => a - b));
      expect(placed[0]).toBeGreaterThanOrEqual(NOW - length);
      expect(placed.at(-1)).toBe(NOW);
    }),
  );
});

test.each([
  ["30m", 30 * 60_000],
  ["90s", 90_000],
  ["1.5h", 1.5 * HOUR],
  ["1d", 24 * HOUR],
  ["250ms", 250],
  ["", undefined],
  ["30", undefined],
  ["m", undefined],
  ["0m", undefined],
  ["-5m", undefined],
  ["5 m", undefined],
  ["30min", undefined],
])("the length of time %s", (text, length) => {
  expect(readDuration(text)).toBe(length);
});

test("what is older than a day or more than five minutes ahead is refused", () => {
  expect(refused(NOW - 24 * HOUR, NOW)).toBeUndefined();
  expect(refused(NOW - 24 * HOUR - 1, NOW)).toBe("old");
  expect(refused(NOW + 300_000, NOW)).toBeUndefined();
  expect(refused(NOW + 300_001, NOW)).toBe("new");
});
