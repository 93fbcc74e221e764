// Brings the alerts up to date. Cron's tick may come late: it evaluates as of now and does not replay what was missed.

import type { Sql } from "../db.ts";
import { log } from "../log.ts";
import { expectNoPayload } from "./payload.ts";

/** Task evaluate_alerts, also called by the loop of one second. */
export const evaluateAlerts = (sql: Sql) => async (payload: unknown) => {
  expectNoPayload("evaluate_alerts", payload);
  const [row] = await sql<[{ changes: number | null }]>`
    select analytics.evaluate_alert_rules(as_of => clock_timestamp()) as changes`;
  if (row.changes) log.info("alerts changed", { count: row.changes });
  else log.debug("alerts evaluated", { by: row.changes === null ? "another worker" : "this one" });
};
