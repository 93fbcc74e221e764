// Waiting that can be broken off.

import { setTimeout as sleep } from "node:timers/promises";
import type { Outage } from "../outage.ts";

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2_000;

/** Waits for `ms`, or less when `signal` is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

/**
 * Does `work` again and again until it succeeds; undefined once `signal` is aborted. Errors that `isFinal` are thrown at once.
 */
export async function untilDone<T>(
  work: () => Promise<T>,
  outage: Outage,
  signal: AbortSignal,
  isFinal: (error: unknown) => boolean = () => false,
): Promise<T | undefined> {
  for (let wait = FIRST_WAIT_MS; !signal.aborted; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    try {
      const result = await work();
      outage.over();
      return result;
    } catch (error) {
      if (isFinal(error)) throw error;
      if (!signal.aborted) outage.began(error);
      await pause(wait, signal);
    }
  }
  return undefined;
}
