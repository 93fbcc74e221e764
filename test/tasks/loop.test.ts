import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { startLoop } from "../../src/tasks/loop.ts";

/** Runs a loop for a while; answers when its work began, in ms since the start. */
async function record(everyMs: number, gapMs: number, during: (nudge: () => void) => Promise<void>, workMs = 0) {
  const start = performance.now();
  const times: number[] = [];
  let running = 0;
  let overlapped = false;
  const loop = startLoop("test", everyMs, gapMs, async () => {
    times.push(performance.now() - start);
    overlapped ||= running > 0;
    running++;
    await sleep(workMs);
    running--;
  });
  await during(loop.nudge);
  await loop.stop();
  expect(overlapped).toBe(false);
  return times;
}

test("works at once and then at its rhythm", async () => {
  const times = await record(100, 20, () => sleep(450).then(() => {}));
  expect(times[0]).toBeLessThan(50);
  expect(times.length).toBeGreaterThanOrEqual(4);
  expect(times.length).toBeLessThanOrEqual(5);
});

test("a nudge wakes it, many nudges do so no more often than the gap", async () => {
  const times = await record(10_000, 100, async (nudge) => {
    const began = performance.now();
    while (performance.now() - began < 550) {
      nudge();
      await sleep(5);
    }
  });
  expect(times.length).toBeGreaterThanOrEqual(4);
  expect(times.length).toBeLessThanOrEqual(6);
  const gaps = times.slice(1).map((time, i) => time - times[i]!);
  expect(Math.min(...gaps)).toBeGreaterThan(95);
});

test("a nudge during the work is not forgotten", async () => {
  const times = await record(
    10_000,
    10,
    async (nudge) => {
      await sleep(50);
      nudge();
      await sleep(250);
    },
    100,
  );
  expect(times).toHaveLength(2);
});

test("goes on after a failure, and stops while it sleeps", async () => {
  let calls = 0;
  const loop = startLoop("test", 20, 20, async () => {
    calls++;
    throw new Error("the database is away");
  });
  await sleep(150);
  const began = performance.now();
  await loop.stop();
  expect(performance.now() - began).toBeLessThan(50);
  expect(calls).toBeGreaterThan(3);
  const after = calls;
  await sleep(60);
  expect(calls).toBe(after);
});
