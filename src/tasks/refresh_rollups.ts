// Materializes the roll-ups: what came in since the last time, and older minutes that got late events.

import type { Sql } from "../db.ts";
import { log } from "../log.ts";
import { expectNoPayload } from "./payload.ts";

/** Task refresh_rollups, also called by the loop of one second. */
export const refreshRollups = (sql: Sql) => async (payload: unknown) => {
  expectNoPayload("refresh_rollups", payload);
  const began = performance.now();
  await sql`call internal.refresh_rollups()`;
  log.debug("roll-ups refreshed", { ms: Math.round(performance.now() - began) });
};
