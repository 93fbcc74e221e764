// The results of one subscription, worked out when its client has taken the ones before. While the database cannot be reached they
// wait for it: a change that is not told would be lost.

import { setTimeout as sleep } from "node:timers/promises";
import type { ExecutionResult } from "postgraphile/graphql";
import { isUnreachable } from "../graphql/errors.ts";

const RETRY_MS = 500;

/**
 * `execute` gets at most `atOnce` events at a time and answers a result for each. For one reader, who asks for the next result
 * when it has the one before.
 */
export function results<T>(
  events: AsyncIterableIterator<T[]>,
  atOnce: number,
  execute: (events: T[]) => Promise<ExecutionResult[]>,
): AsyncIterableIterator<ExecutionResult> {
  const done = { done: true, value: undefined } as const;
  let waiting: T[] = [];
  let ready: ExecutionResult[] = [];
  let isOver = false;

  async function work() {
    if (waiting.length === 0) {
      const next = await events.next();
      isOver ||= next.done === true;
      waiting = next.value ?? [];
    }
    const some = waiting.slice(0, atOnce);
    if (some.length === 0) return;
    try {
      ready = [...(await execute(some))];
      waiting = waiting.slice(some.length);
    } catch (error) {
      if (!isUnreachable(error as Error)) throw error;
      await sleep(RETRY_MS, undefined, { ref: false });
    }
  }

  const self: AsyncIterableIterator<ExecutionResult> = {
    [Symbol.asyncIterator]: () => self,
    async next() {
      try {
        while (!isOver) {
          const result = ready.shift();
          if (result) return { done: false, value: result };
          await work();
        }
        return done;
      } catch (error) {
        await self.return!();
        throw error;
      }
    },
    async return() {
      isOver = true;
      await events.return?.();
      return done;
    },
  };
  return self;
}
