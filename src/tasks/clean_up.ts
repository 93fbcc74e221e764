// Deletes what analytics.retention says is too old and no TimescaleDB policy drops.

import type { Sql } from "../db.ts";
import { log } from "../log.ts";
import { expectNoPayload } from "./payload.ts";

/** Task clean_up. */
export const cleanUp = (sql: Sql) => async (payload: unknown) => {
  expectNoPayload("clean_up", payload);
  const [row] = await sql<[{ deleted: string }]>`
    select alerts + rejected_events + services as deleted from internal.clean_up()`;
  const rows = Number(row.deleted);
  if (rows > 0) log.info("cleaned up", { rows });
};
