// A day of events in the database, as the ingester and the worker leave it; and it goes on.

import { setTimeout as sleep } from "node:timers/promises";
import { makeEvents } from "./events.ts";
import type { Stack } from "./stack.ts";
import { noteServices, storeEvents } from "./store.ts";

const DAY_S = 86_400;
const AFTER_S = 3_600; // for at most so long it goes on

/** Stores so many events, spread over the last 24 hours, and then as many a second; the answer is the function that ends that. */
export async function startDay(stack: Stack, count: number): Promise<() => Promise<void>> {
  const seconds = DAY_S + AFTER_S;
  const events = makeEvents((count / DAY_S) * seconds, Date.now() + AFTER_S * 1000, seconds);
  await storeEvents(stack.sql, events, Date.now());
  await rollUp(stack);
  let goesOn = true;
  const stored = (async () => {
    for (; goesOn; await sleep(1_000)) await storeEvents(stack.sql, events, Date.now());
  })();
  return async () => {
    goesOn = false;
    await stored;
  };
}

/** Services are known, everything is rolled up, and compressed what is old enough. */
async function rollUp({ sql }: Stack): Promise<void> {
  await noteServices(sql);
  await sql`
    insert into internal.late_minutes (minute)
    select generate_series(date_trunc('minute', min(time)), max(time), interval '1 minute') from analytics.events`;
  await sql`call internal.refresh_rollups()`;
  await sql`select analytics.archive()`;
  await sql`analyze`;
}
