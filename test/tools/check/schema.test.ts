// schema.sql shows what a migration can change about tables, and does not depend on the session that makes it.

import { afterAll, beforeAll, expect, test } from "vitest";
import { connect } from "../../../src/db.ts";
import { outline } from "../../../tools/check/schema.ts";
import { type TestDatabase, testDatabase } from "../../setup/services.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

test.each([
  ["alter table analytics.services add tier smallint not null default 1", "  tier smallint not null default 1"],
  ["comment on column analytics.services.service is 'Its name.'", "  service text not null -- Its name."],
  ["comment on schema analytics is 'StackLens: events, metrics and alerts of services.\nAll of it.'", "-- All of it."],
  [
    "create index services_last_seen on analytics.services (last_seen)",
    "CREATE INDEX services_last_seen ON analytics.services USING btree (last_seen)",
  ],
  [
    "alter table analytics.services add constraint seen check (first_seen <= last_seen)",
    "  constraint seen CHECK ((first_seen <= last_seen))",
  ],
  [
    "select set_chunk_time_interval('analytics.events', interval '2 hours')",
    "-- hypertable: chunks of 02:00:00 by time",
  ],
  [
    "select remove_retention_policy('analytics.events'), add_retention_policy('analytics.events', interval '5 days')",
    '-- policy: policy_retention every 1 day {"drop_after": "5 days"}',
  ],
  ["alter materialized view internal.metrics_10s_v1 set (timescaledb.materialized_only = true)", "materialized only"],
])("shows what `%s` did", async (change, line) => {
  const before = await outline(db.sql);
  await db.sql.unsafe(change);
  const after = await outline(db.sql);

  const added = after.split("\n").filter((text) => !before.split("\n").includes(text));
  expect(added).toEqual([expect.stringContaining(line)]);
});

test("is the same for every session", async () => {
  const url = new URL(db.url);
  url.search = "?DateStyle=German&TimeZone=Asia/Kathmandu&IntervalStyle=iso_8601&search_path=analytics";
  const other = connect(url.href, "stacklens test", 1);
  expect(await outline(other)).toBe(await outline(db.sql));
  await other.end();
});
