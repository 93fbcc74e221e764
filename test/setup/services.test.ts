// The set-up itself: what the other tests rely on.

import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { connect } from "../../src/db.ts";
import { kafkaClient } from "../../src/kafka.ts";
import { testDatabase, testKafka, unique } from "./services.ts";

test("every call gives a database of its own, which is gone after drop()", async () => {
  const [one, two] = await Promise.all([testDatabase(), testDatabase()]);
  await one.sql`insert into analytics.services values ('web', now(), now())`;
  expect(await two.sql`select service from analytics.services`).toEqual([]);

  await Promise.all([one.drop(), two.drop()]);
  const gone = connect(one.url, "stacklens test", 1);
  await expect(gone`select 1`).rejects.toMatchObject({ code: "3D000" });
  await gone.end();
});

test("TimescaleDB's jobs do not run in a copy, unless it is asked for", async () => {
  const quiet = await testDatabase();
  expect(await quiet.sql`select job_id from timescaledb_information.jobs where scheduled`).toEqual([]);
  await quiet.drop();

  const busy = await testDatabase({ jobs: true });
  await busy.sql.unsafe(`
    create table public.ticks (at timestamptz not null);
    create procedure public.tick(integer, jsonb) language sql begin atomic insert into public.ticks values (now()); end;
    select add_job('public.tick', interval '1 second')`);
  for (let waited = 0; waited < 20_000; waited += 200) {
    const [{ ticks }] = (await busy.sql`select count(*)::integer as ticks from public.ticks`) as [{ ticks: number }];
    if (ticks >= 2) break;
    await sleep(200);
  }
  const ticks = await busy.sql`select at from public.ticks`;
  await busy.drop();
  expect(ticks.length).toBeGreaterThanOrEqual(2);
});

test("Kafka takes a message and gives it back", async () => {
  const kafka = kafkaClient({ kafka: { brokers: testKafka().brokers, ssl: false } }, "stacklens-test");
  const topic = unique("setup");
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true });
  await admin.disconnect();
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic, messages: [{ value: "hello" }] });
  await producer.disconnect();

  const consumer = kafka.consumer({ groupId: unique("setup") });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const value = await new Promise<string | undefined>((resolve) => {
    consumer.run({ eachMessage: async ({ message }) => resolve(message.value?.toString()) });
  });
  await consumer.disconnect();
  expect(value).toBe("hello");
});
