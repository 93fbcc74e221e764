// From real Kafka into the real database: what arrives, and that everything does so exactly once whatever happens around it.

import { setTimeout as sleep } from "node:timers/promises";
import kafkajs from "kafkajs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startIngest } from "../../src/ingest/consumer.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { cuttable, numbered, type Topic, testTopic, whileIngesting } from "./pipeline.ts";

let db: TestDatabase;
let topic: Topic;
const SOON = { timeout: 20_000, interval: 100 };

beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());
beforeEach(async (context) => {
  await db.sql`truncate analytics.events, analytics.rejected_events, internal.ingest_offsets`;
  topic = await testTopic("ingest", context.task.name.includes("absent") ? 0 : 3);
});
afterEach(() => topic.close());

/** Rows and distinct request_ids. */
async function stored(): Promise<{ rows: number; distinct: number }> {
  const [row] = await db.sql`
    select count(*)::int as rows, count(distinct request_id)::int as distinct from analytics.events`;
  return row as { rows: number; distinct: number };
}

const all = (count: number) => ({ rows: count, distinct: count });

async function lag(): Promise<number> {
  const ends = await topic.admin.fetchTopicOffsets(topic.name);
  const [row] = await db.sql`select coalesce(sum(next_offset), 0)::int as next from internal.ingest_offsets`;
  return ends.reduce((sum, { high }) => sum + Number(high), 0) - row!.next;
}

describe("what arrives", () => {
  it("events in every codec, rejects beside them, offsets in the database and in the group", async () => {
    const { None, GZIP, Snappy, LZ4, ZSTD } = kafkajs.CompressionTypes;
    await whileIngesting(topic.config(db.url), async () => {
      for (const [index, codec] of [None, GZIP, Snappy, LZ4, ZSTD].entries())
        await topic.send([...numbered(index * 100, 100), "not json", null], codec);
      await expect.poll(stored, SOON).toEqual(all(500));
      await expect.poll(lag, SOON).toBe(0);
      const rejects = await db.sql`
        select reason, count(*)::int from analytics.rejected_events where topic = ${topic.name} group by 1 order by 1`;
      expect(rejects).toEqual([
        { reason: "empty_message", count: 5 },
        { reason: "invalid_json", count: 5 },
      ]);
    });
    const [group] = await topic.admin.fetchOffsets({ groupId: topic.name, topics: [topic.name] });
    const ends = await topic.admin.fetchTopicOffsets(topic.name);
    expect(group!.partitions.map(({ offset }) => offset).sort()).toEqual(ends.map(({ high }) => high).sort());
  });

  it("what was sent before the first start, and nothing twice after a second start", async () => {
    await topic.send(numbered(0, 300));
    await whileIngesting(topic.config(db.url), () => expect.poll(stored, SOON).toEqual(all(300)));
    await topic.send(numbered(300, 300));
    await whileIngesting(topic.config(db.url), () => expect.poll(stored, SOON).toEqual(all(600)));
  });

  it("a topic that is absent is made", async () => {
    await whileIngesting(topic.config(db.url), async () => {
      await topic.send(numbered(0, 10));
      await expect.poll(stored, SOON).toEqual(all(10));
    });
  });

  it("what a transaction committed, and nothing of one that was aborted", async () => {
    await whileIngesting(topic.config(db.url), async () => {
      const producer = topic.kafka.producer({ transactionalId: topic.name, maxInFlightRequests: 1, idempotent: true });
      await producer.connect();
      const transaction = async (from: number, end: "commit" | "abort") => {
        const open = await producer.transaction();
        const messages = numbered(from, 30).map((event, index) => ({
          partition: index % 3,
          value: JSON.stringify(event),
        }));
        await open.send({ topic: topic.name, messages });
        await open[end]();
      };
      await transaction(0, "commit");
      await transaction(1000, "abort");
      await sleep(1500); // the aborted messages come alone, and are gone over
      await transaction(2000, "abort");
      await transaction(30, "commit");
      await expect.poll(stored, SOON).toEqual(all(60));
      const [row] = await db.sql`select max(request_id::int) as max from analytics.events`;
      expect(row!.max).toBe(59);
      await producer.disconnect();
    });
  });
});

describe("who reads", () => {
  it("two ingesters share the partitions, and one takes over from another without losing or doubling an event", async () => {
    let sent = 0;
    let sending = true;
    const load = (async () => {
      for (; sending; await sleep(20)) {
        await topic.send(numbered(sent, 100));
        sent += 100;
      }
    })();
    const first = await startIngest(topic.config(db.url));
    const second = await startIngest(topic.config(db.url));
    await sleep(1000);
    const members = await topic.admin.describeGroups([topic.name]);
    expect(members.groups[0]!.members).toHaveLength(2);
    await first();
    const third = await startIngest(topic.config(db.url));
    await sleep(500);
    await second();
    await sleep(500);
    sending = false;
    await load;
    await expect.poll(lag, SOON).toBe(0);
    expect(await stored()).toEqual(all(sent));
    await third();
  });

  it("stops within 4 s while the database hangs, and leaves the group", async () => {
    const stop = await startIngest(topic.config(db.url));
    await db.sql.begin(async (sql) => {
      await sql`lock table internal.ingest_offsets in access exclusive mode`;
      await topic.send(numbered(0, 100));
      await sleep(500);
      const began = Date.now();
      await stop();
      expect(Date.now() - began).toBeLessThan(4000);
    });
    const { groups } = await topic.admin.describeGroups([topic.name]);
    expect(groups[0]!.members).toEqual([]);
  });
});

describe("when something goes away", () => {
  it("waits for the database and goes on by itself", async () => {
    const connection = await cuttable(db.url);
    await whileIngesting(topic.config(connection.url), async () => {
      await topic.send(numbered(0, 300));
      await expect.poll(stored, SOON).toEqual(all(300));
      connection.cut();
      for (let from = 300; from < 1200; from += 300) {
        await topic.send(numbered(from, 300));
        await sleep(700);
      }
      expect(await stored()).toEqual(all(300));
      connection.mend();
      await expect.poll(stored, SOON).toEqual(all(1200));
    });
    connection.close();
  });

  it("does not store twice when the answer to a commit is lost", async () => {
    const connection = await cuttable(db.url);
    await whileIngesting(topic.config(connection.url), async () => {
      for (let round = 0; round < 10; round++) {
        await topic.send(numbered(round * 2000, 2000));
        await sleep(Math.random() * 60);
        connection.cut();
        connection.mend();
      }
      await expect.poll(lag, SOON).toBe(0);
      expect(await stored()).toEqual(all(20_000));
    });
    connection.close();
  });

  it("starts while the database is away", async () => {
    const connection = await cuttable(db.url);
    connection.cut();
    await topic.send(numbered(0, 30));
    const starting = startIngest(topic.config(connection.url));
    await sleep(1500);
    connection.mend();
    const stop = await starting;
    await expect.poll(stored, SOON).toEqual(all(30));
    await stop();
    connection.close();
  });
});

describe("when offsets do not match", () => {
  it("stores again what the database lost, even if nothing new comes", async () => {
    await whileIngesting(topic.config(db.url), async () => {
      await topic.send(numbered(0, 300));
      await expect.poll(stored, SOON).toEqual(all(300));
      // As after a restore from a backup that was made when nothing had arrived.
      await db.sql.begin(async (sql) => {
        await sql`delete from analytics.events`;
        await sql`update internal.ingest_offsets set next_offset = 0`;
      });
      await expect.poll(stored, SOON).toEqual(all(300));
    });
  });

  it("goes on where the log begins when Kafka dropped what was not read", async () => {
    await whileIngesting(topic.config(db.url), async () => {
      await topic.send(numbered(0, 30));
      await expect.poll(stored, SOON).toEqual(all(30));
    });
    await topic.send(numbered(30, 30));
    expect(await lag()).toBe(30); // and kafkajs learns of the leaders, which it does not do for deleteTopicRecords
    const partitions = [0, 1, 2].map((partition) => ({ partition, offset: "15" }));
    await topic.admin.deleteTopicRecords({ topic: topic.name, partitions });
    await whileIngesting(topic.config(db.url), async () => {
      await expect.poll(stored, SOON).toEqual(all(45));
      await expect.poll(lag, SOON).toBe(0);
    });
  });

  it("reads a topic that was made anew from its start", async () => {
    await whileIngesting(topic.config(db.url), async () => {
      await topic.send(numbered(0, 300));
      await expect.poll(stored, SOON).toEqual(all(300));
    });
    await topic.admin.deleteTopics({ topics: [topic.name] });
    await sleep(500);
    await topic.admin.createTopics({ topics: [{ topic: topic.name, numPartitions: 3 }], waitForLeaders: true });
    await topic.send(numbered(300, 90));
    await whileIngesting(topic.config(db.url), () => expect.poll(stored, SOON).toEqual(all(390)));
  });

  it("does so while it runs, too", async () => {
    await whileIngesting(topic.config(db.url), async () => {
      await topic.send(numbered(0, 300));
      await expect.poll(stored, SOON).toEqual(all(300));
      await topic.admin.deleteTopics({ topics: [topic.name] });
      await sleep(500);
      await topic.admin
        .createTopics({ topics: [{ topic: topic.name, numPartitions: 3 }], waitForLeaders: true })
        .catch(() => {}); // the ingester may have been first
      await topic.send(numbered(300, 90));
      await expect.poll(stored, { ...SOON, timeout: 40_000 }).toEqual(all(390));
    });
  });
});
