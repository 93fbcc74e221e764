// Puts events into the database by SQL, for tests of what is made from them. Times are relative to one `now` a test.

import type { Sql } from "../../src/db.ts";

export type TestEvent = {
  time: Date;
  service?: string;
  endpoint?: string;
  level?: "debug" | "info" | "warning" | "error" | "critical";
  status_code?: number;
  latency_ms?: number;
  user_id?: string;
  source_ip?: string;
  business_risk_score?: number;
};

/**
 * Inserts events as if each had come at its time; service "web" and level info unless said otherwise. Known services and late minutes are noted, as the
 * ingester does it.
 */
export async function insertEvents(sql: Sql, events: TestEvent[]): Promise<void> {
  const rows = events.map((event) => ({ service: "web", level: "info", ...event, time: event.time.toISOString() }));
  await sql`
    with rows as materialized (
      select * from jsonb_populate_recordset(null::analytics.events, ${sql.json(rows)})
    ),
    seen as (
      insert into analytics.services (service, first_seen, last_seen, known_since)
      select service, min(time), max(time), min(time) from rows group by service
      on conflict (service) do update set last_seen = greatest(services.last_seen, excluded.last_seen)
    ),
    late as (
      insert into internal.late_minutes (minute)
      select distinct date_trunc('minute', time) from rows where time < now() - interval '90 seconds'
    )
    insert into analytics.events (
      time, service, endpoint, level, status_code, latency_ms, user_id, source_ip, business_risk_score
    )
    select time, service, endpoint, level, status_code, latency_ms, user_id, source_ip, business_risk_score from rows`;
}

/** So many seconds before `now`. */
export const ago = (now: Date, seconds: number) => new Date(now.getTime() - seconds * 1000);
