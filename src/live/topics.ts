// What there is to subscribe to: the fields of Subscription.

import type { ChangeFilter, Changes } from "./changes.ts";
import type { Health } from "./health.ts";

/** What a subscriber is told of; `id` tells it from all others. */
export type Event = { id: string };
/** The stream of a field with its arguments, some events at a time. */
export type Topics = Record<string, (args: Record<string, unknown>) => AsyncIterableIterator<Event[]>>;

export function topics(changes: Changes, health: Health): Topics {
  return {
    alertChanged: (args) => changes.subscribe(args as ChangeFilter),
    serviceHealth: () => health.subscribe(),
  };
}
