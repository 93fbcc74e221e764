// What there is to subscribe to, as the subscriber that GraphQL listens with.

import type { ChangeFilter, Changes } from "./changes.ts";
import type { Health } from "./health.ts";

export type Topic = { of: "changes"; filter: ChangeFilter } | { of: "health" };

/** For the `pgSubscriber` of a pgService. */
export function topics(changes: Changes, health: Health) {
  return {
    // biome-ignore lint/suspicious/noExplicitAny: Graphile's type knows strings only
    subscribe: (topic: any): any =>
      (topic as Topic).of === "changes" ? changes.subscribe(topic.filter) : health.subscribe(),
  };
}
