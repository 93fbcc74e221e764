// What an ingester does with the logs that it fetched: on the real database, with logs written by hand so that they overlap and break
// as they do when brokers fail.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Assignment, assign } from "../../src/ingest/partitions.ts";
import { openStore, type Store } from "../../src/ingest/store.ts";
import type { FetchedLog } from "../../src/kafka.ts";
import { watchOutage } from "../../src/outage.ts";
import { type TestDatabase, testDatabase, unique } from "../setup/services.ts";
import { record, written } from "./log.ts";

let db: TestDatabase;
let store: Store;
let assignment: Assignment;
beforeAll(async () => {
  db = await testDatabase();
  store = openStore(db.url, 2);
});
afterEach(() => assignment.revoke());
afterAll(async () => {
  await store.end();
  await db.drop();
});

const END = 100_000;

/** An assignment of partitions 0 and 1 of a topic of its own. `commit` stands before the store's. */
async function assigned(commit: () => Promise<void> = async () => {}): Promise<string> {
  const topic = unique("partitions");
  assignment = assign(
    {
      topic,
      store: { ...store, commit: (batch, span) => commit().then(() => store.commit(batch, span)) },
      database: watchOutage("the database"),
      kafka: watchOutage("Kafka"),
      logRanges: async () => [0, 1].map((partition) => ({ partition, start: 0, end: END })),
    },
    [0, 1],
    undefined,
  );
  await assignment.ready;
  return topic;
}

/** The log of a partition with events from one offset up to another one. */
function fetched(service: string, partition: number, from: number, to: number): FetchedLog {
  const records = Array.from({ length: to - from }, (_, n) =>
    record(
      from + n,
      JSON.stringify({ timestamp: Date.now(), service, level: "info", request_id: `${partition}-${from + n}` }),
    ),
  );
  return { partition, from, logEnd: END, aborted: [], log: written({ base: from, records }) };
}

const stored = async (service: string) =>
  (
    await db.sql`
      select count(*)::int as rows, count(distinct request_id)::int as events
      from analytics.events where service = ${service}`
  )[0];

test("a log that two rounds of fetches bring is stored once, also when both wait for the database", async () => {
  const held = Promise.withResolvers<void>();
  await assigned(() => held.promise);
  await assignment.take(fetched("twice", 0, 0, 3_000));
  const both = [fetched("twice", 0, 3_000, 8_000), fetched("twice", 0, 3_000, 8_000)].map(assignment.take);
  await new Promise((resolve) => setTimeout(resolve, 100)); // the second one would be in the middle of its turns
  held.resolve();
  await Promise.all(both);
  await assignment.settled();
  expect(await stored("twice")).toEqual({ rows: 8_000, events: 8_000 });
});

test("a log that cannot be read rests, and the other partitions go on", async () => {
  await assigned();
  const broken = fetched("broken", 0, 0, 10);
  (broken.log as Buffer)[16] = 1; // a format before Kafka 0.11
  await assignment.take(broken);
  await assignment.take(fetched("broken", 1, 0, 10));
  await assignment.settled();
  expect(await stored("broken")).toEqual({ rows: 10, events: 10 });
  expect(await assignment.wanted([0, 1], [])).toEqual([{ partition: 1, offset: 10 }]);
});

test("what was fetched before a look-up is for nothing", async () => {
  await assigned();
  const old = fetched("stale", 0, 50, 60);
  await assignment.take(old);
  await assignment.settled();
  expect(await stored("stale")).toEqual({ rows: 0, events: 0 });
  expect(await assignment.wanted([0], [])).toEqual([{ partition: 0, offset: 0 }]);
});
