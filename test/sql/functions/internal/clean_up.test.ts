import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../setup/services.ts";
import { ago } from "../../events.ts";
import { evaluate, insertRules, installSignal } from "../../signal.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
  await installSignal(db.sql);
});
afterAll(() => db.drop());

const DAY = 86_400;

test("deletes what is older than its tier is kept, and nothing else", async () => {
  const { sql } = db;
  const now = new Date();
  await insertRules(sql, {});
  await evaluate(sql, ago(now, 40 * DAY), { over: 1, ends: 1, open: 1 });
  await evaluate(sql, ago(now, 31 * DAY), { over: 0, ends: 1, open: 1 });
  await evaluate(sql, ago(now, 29 * DAY), { ends: 0, open: 1 });
  await sql`
    insert into analytics.rejected_events (received_at, topic, partition, "offset", reason, detail)
    values (${ago(now, 31 * DAY)}, 't', 0, 1, 'invalid_json', ''), (${ago(now, 29 * DAY)}, 't', 0, 2, 'invalid_json', '')`;
  await sql`
    insert into analytics.services values
      ('old', ${ago(now, 90 * DAY)}, ${ago(now, 31 * DAY)}), ('new', ${ago(now, 90 * DAY)}, ${ago(now, 29 * DAY)})`;
  await sql`
    insert into analytics.silences (starts_at, ends_at, reason) values
      (${ago(now, 33 * DAY)}, ${ago(now, 31 * DAY)}, 'old'), (${ago(now, 33 * DAY)}, ${ago(now, -DAY)}, 'still on')`;

  // one alert, its two rows of history, one of each of the others
  expect(await sql`select (alerts + rejected_events + services)::int as deleted from internal.clean_up()`).toEqual([
    { deleted: 6 },
  ]);

  expect(await sql`select service, status from analytics.alerts order by service`).toEqual([
    { service: "ends", status: "resolved" },
    { service: "open", status: "active" },
  ]);
  expect(await sql`select service, count(*)::int from analytics.alert_history group by 1 order by 1`).toEqual([
    { service: "ends", count: 2 },
    { service: "open", count: 1 },
  ]);
  expect(await sql`select "offset"::int from analytics.rejected_events`).toEqual([{ offset: 2 }]);
  expect(await sql`select service from analytics.services`).toEqual([{ service: "new" }]);
  expect(await sql`select reason from analytics.silences`).toEqual([{ reason: "still on" }]);
  expect(await sql`select (alerts + rejected_events + services)::int as deleted from internal.clean_up()`).toEqual([
    { deleted: 0 },
  ]);
});

test("follows an edit of analytics.retention", async () => {
  const { sql } = db;
  await sql`update analytics.retention set keep = '28 days' where tier = 'alerts'`;
  expect(await sql`select (alerts + rejected_events + services)::int as deleted from internal.clean_up()`).toEqual([
    { deleted: 3 },
  ]);
  expect(await sql`select service from analytics.alerts`).toEqual([{ service: "open" }]);
});
