// Alerts that a test wants to see change: one failing service an alert, evaluated by the real engine.

import type { Sql } from "../../src/db.ts";
import { ago, insertEvents } from "../sql/events.ts";

/** One rule for everybody, which fires on the first failure. */
export async function onlyRule(sql: Sql): Promise<void> {
  await sql`update analytics.alert_rules set enabled = false`;
  await sql`
    insert into analytics.alert_rules (id, name, metric, operator, threshold, lookback, severity)
    values ('any_failure', 'Any failure', 'error_count', '>', 0, '60 s', 'critical')`;
}

/** A service fails, and the rules are evaluated. */
export async function fail(sql: Sql, service: string): Promise<void> {
  await insertEvents(sql, [{ time: ago(new Date(), 1), service, level: "error" }]);
  await sql`select analytics.evaluate_alert_rules(as_of => now())`;
}
