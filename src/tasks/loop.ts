// A rhythm finer than cron's minute: work at least every so often, at once when nudged, and never more often than the gap allows.

import { log, reason } from "../log.ts";

export type Loop = { nudge: () => void; stop: () => Promise<void> };

/**
 * Repeats `work`, one at a time. `everyMs` and `gapMs` count from the beginning of the work before. A failure is logged once,
 * and once more when it is over; the loop goes on.
 */
export function startLoop(name: string, everyMs: number, gapMs: number, work: () => Promise<unknown>): Loop {
  let stopped = false;
  let nudged = false;
  let wake = () => {};
  let failing = "";

  const sleepUntil = (moment: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, moment - performance.now()));
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const loop = (async () => {
    while (!stopped) {
      const began = performance.now();
      nudged = false;
      try {
        await work();
        if (failing) log.info(`${name} works again`);
        failing = "";
      } catch (error) {
        if (!stopped && reason(error) !== failing) log.warn(`${name} failed and is tried again`, { error });
        failing = reason(error);
      }
      if (!stopped && !nudged) await sleepUntil(began + everyMs);
      if (!stopped && nudged) await sleepUntil(began + gapMs);
    }
  })();

  return {
    nudge: () => {
      if (nudged) return;
      nudged = true;
      wake();
    },
    stop: () => {
      stopped = true;
      wake();
      return loop;
    },
  };
}
