// One line when something that is needed goes away, one a minute while it stays away, and one when it is back.

import { log, reason } from "./log.ts";

const REPEAT_MS = 60_000;

export type Outage = {
  /** Something failed; says so unless that was said within the last minute. */
  began: (error: unknown) => void;
  /** Something worked. */
  over: () => void;
};

/** Watches one thing; `what` is the subject of its lines, such as "the database". */
export function watchOutage(what: string): Outage {
  let since: number | undefined;
  let said = 0;
  return {
    began: (error) => {
      const now = Date.now();
      since ??= now;
      if (now - said < REPEAT_MS) return;
      said = now;
      log.warn(`waiting for ${what}`, { reason: reason(error) });
    },
    over: () => {
      if (since === undefined) return;
      log.info(`${what} is back`, { after_s: Math.round((Date.now() - since) / 1000) });
      since = undefined;
      said = 0;
    },
  };
}
