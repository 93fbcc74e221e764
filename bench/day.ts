// A day of events in the database, as the ingester and the worker leave it; and it goes on.

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { makeEvents } from "./events.ts";
import type { Stack } from "./stack.ts";

const DAY_S = 86_400;
const AFTER_S = 3_600; // for at most so long it goes on

/** Stores so many events, spread over the last 24 hours, and then as many a second; the answer is the function that ends that. */
export async function startDay(stack: Stack, count: number): Promise<() => Promise<void>> {
  const seconds = DAY_S + AFTER_S;
  const events = makeEvents((count / DAY_S) * seconds, Date.now() + AFTER_S * 1000, seconds);
  await store(stack, events);
  await rollUp(stack);
  let goesOn = true;
  const stored = (async () => {
    for (; goesOn; await sleep(1_000)) await store(stack, events);
  })();
  return async () => {
    goesOn = false;
    await stored;
  };
}

const COLUMNS = [
  ...["service", "endpoint", "level", "status_code", "latency_ms", "request_id", "user_id", "source_ip", "geo_country"],
  "business_risk_score",
];

/** Stores the next of the events, up to now. They are the plain ones of makeEvents: nothing needs to be escaped. */
async function store({ sql }: Stack, events: Generator<string>): Promise<void> {
  const copy = await sql`copy analytics.events (time, ${sql(COLUMNS)}) from stdin`.writable();
  await pipeline(Readable.from(lines(events, Date.now())), copy);
}

function* lines(events: Generator<string>, until: number): Generator<string> {
  let lines = "";
  for (let next = events.next(); !next.done; next = events.next()) {
    const event = JSON.parse(next.value);
    lines += `${[new Date(event.timestamp).toISOString(), ...COLUMNS.map((name) => event[name])].join("\t")}\n`;
    if (event.timestamp >= until) break;
    if (lines.length < 1_000_000) continue;
    yield lines;
    lines = "";
  }
  yield lines;
}

/** Services are known, everything is rolled up, and compressed what is old enough. */
async function rollUp({ sql }: Stack): Promise<void> {
  await sql`
    insert into analytics.services (service, first_seen, last_seen)
    select service, min(time), max(time) from analytics.events group by service`;
  await sql`
    insert into internal.late_minutes (minute)
    select generate_series(date_trunc('minute', min(time)), max(time), interval '1 minute') from analytics.events`;
  await sql`call internal.refresh_rollups()`;
  await sql`select analytics.archive()`;
  await sql`analyze`;
}
