// The reason codes are in two places: what the decoder says, and what the database takes.

import { afterAll, beforeAll, expect, test } from "vitest";
import type { RejectReason } from "../../src/ingest/reject.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";

/** All of them, or this is no Record. */
const REASONS: Record<RejectReason, true> = {
  empty_message: true,
  too_large: true,
  invalid_utf8: true,
  invalid_json: true,
  not_an_object: true,
  too_deep: true,
  invalid_text: true,
  invalid_number: true,
  missing_field: true,
  invalid_field: true,
  too_late: true,
  too_early: true,
  database_error: true,
};

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

test("the database takes every reason of the decoder, and knows no other", async () => {
  const rows = await db.sql<{ reason: string }[]>`
    select unnest(enum_range(null::analytics.reject_reason))::text as reason`;
  expect(rows.map(({ reason }) => reason).sort()).toEqual(Object.keys(REASONS).sort());
});
