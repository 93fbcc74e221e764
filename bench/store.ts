// Events in the database without Kafka, as the ingester leaves them.

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Sql } from "../src/db.ts";

const COLUMNS = [
  ...["service", "endpoint", "level", "status_code", "latency_ms", "request_id", "user_id", "source_ip", "geo_country"],
  "business_risk_score",
];
const CHUNK = 1_000_000;

/**
 * Stores the next events of bench/events.ts up to a time (epoch ms), or all; one goes beyond it. They are plain: nothing needs to be
 * escaped. The roll-ups learn of it by internal.late_minutes.
 */
export async function storeEvents(sql: Sql, events: Iterator<string>, until = Number.POSITIVE_INFINITY): Promise<void> {
  const copy = await sql`copy analytics.events (time, ${sql(COLUMNS)}) from stdin`.writable();
  await pipeline(Readable.from(lines(events, until)), copy);
}

/** Notes the services of all events that are stored. */
export async function noteServices(sql: Sql): Promise<void> {
  await sql`
    insert into analytics.services (service, first_seen, last_seen)
    select service, min(time), max(time) from analytics.events group by service
    on conflict (service) do nothing`;
}

function* lines(events: Iterator<string>, until: number): Generator<string> {
  let lines = "";
  for (let next = events.next(); !next.done; next = events.next()) {
    const event = JSON.parse(next.value);
    lines += `${[new Date(event.timestamp).toISOString(), ...COLUMNS.map((name) => event[name])].join("\t")}\n`;
    if (event.timestamp >= until) break;
    if (lines.length < CHUNK) continue;
    yield lines;
    lines = "";
  }
  yield lines;
}
