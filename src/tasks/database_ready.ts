// Waiting until the database can be worked with, for a worker that starts before it or beside its migration.

import { setTimeout as sleep } from "node:timers/promises";
import type { Sql } from "../db.ts";
import { watchOutage } from "../outage.ts";

const RETRY_MS = 500;

/** Resolves when the database answers and is migrated; says once a minute why it waits. */
export async function databaseReady(sql: Sql): Promise<void> {
  const outage = watchOutage("the database");
  for (;;) {
    try {
      await sql`select from analytics.alert_rules limit 0`;
      return outage.over();
    } catch (error) {
      outage.began(error);
      await sleep(RETRY_MS);
    }
  }
}
