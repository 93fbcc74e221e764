// The lease on sending alert messages: one sender at a time, nothing lost when it leaves or crashes.

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../setup/services.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());
beforeEach(async () => {
  await db.sql`truncate internal.alert_messages`;
  await db.sql`update internal.alert_publisher set holder = null, held_until = '-infinity'`;
});

const write = (...keys: string[]) =>
  db.sql`insert into internal.alert_messages (key, message) select key, '{}' from unnest(${keys}::text[]) as key`;
const next = (holder: string, sent: string[] = [], max = 2) =>
  db.sql<{ id: string; key: string }[]>`
    select * from internal.next_alert_messages(holder => ${holder}, sent => ${sent}::bigint[], max_messages => ${max})`;
const keys = (rows: { key: string }[]) => rows.map(({ key }) => key);
const ids = (rows: { id: string }[]) => rows.map(({ id }) => id);

test("gives them in their order, in batches, and deletes what was sent", async () => {
  await write("a", "b", "c");
  const me = randomUUID();
  const first = await next(me);
  expect(keys(first)).toEqual(["a", "b"]);
  const second = await next(me, ids(first));
  expect(keys(second)).toEqual(["c"]);
  expect(await next(me, ids(second))).toEqual([]);
  expect(await db.sql`select * from internal.alert_messages`).toEqual([]);
});

test("gives them again when they were not sent", async () => {
  await write("a");
  const me = randomUUID();
  await next(me);
  expect(keys(await next(me))).toEqual(["a"]);
});

test("gives them to one holder at a time, and to the next one once there are none left", async () => {
  await write("a");
  const [me, other] = [randomUUID(), randomUUID()];
  const mine = await next(me);
  expect(await next(other)).toEqual([]);
  await write("b");
  const more = await next(me, ids(mine));
  expect(keys(more)).toEqual(["b"]);
  await next(me, ids(more));
  await write("c");
  expect(keys(await next(other))).toEqual(["c"]);
});

test("whoever finds the lease taken leaves a job for the time after it, if there is something to send", async () => {
  const jobs = () => db.sql`
    select count(*)::int, min(run_at) >= (select held_until from internal.alert_publisher) as late_enough
    from graphile_worker.jobs where task_identifier = 'publish_alert'`;
  await write("a");
  const me = randomUUID();
  const mine = await next(me);
  for (let i = 0; i < 3; i++) await next(randomUUID());
  expect(await jobs()).toEqual([{ count: 1, late_enough: true }]);
  await db.sql`select graphile_worker.remove_job(key) from graphile_worker.jobs`;
  await db.sql`delete from internal.alert_messages`;
  await next(randomUUID(), ids(mine));
  expect(await jobs()).toEqual([{ count: 0, late_enough: null }]);
});

test("what another holder says it has sent does not count without the lease", async () => {
  await write("a");
  const mine = await next(randomUUID());
  await next(randomUUID(), ids(mine));
  expect(await db.sql`select key from internal.alert_messages`).toEqual([{ key: "a" }]);
});

test("a lease can be renewed and given back, and ends by itself when its holder is gone", async () => {
  await write("a");
  const [me, other] = [randomUUID(), randomUUID()];
  await next(me);
  await db.sql`select internal.hold_alert_messages(holder => ${me})`;
  expect(await next(other)).toEqual([]);
  await db.sql`select internal.hold_alert_messages(holder => ${other}, lease => '0')`; // not theirs to give
  expect(await next(other)).toEqual([]);
  await db.sql`select internal.hold_alert_messages(holder => ${me}, lease => '0')`;
  expect(keys(await next(other))).toEqual(["a"]);

  await db.sql`update internal.alert_publisher set held_until = clock_timestamp() - interval '1 ms'`; // 10 s later
  expect(keys(await next(me))).toEqual(["a"]);
  expect(await next(other)).toEqual([]);
});
