// Batches in the real database: rows read back as they were sent, and a transaction does all or nothing.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Batch, decodeBatch, newBatch } from "../../src/ingest/batch.ts";
import { isMoved, openStore, type Span, type Store } from "../../src/ingest/store.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { type Event, KNOWN_FIELDS, validEvent } from "./arbitrary.ts";
import { cuttable } from "./pipeline.ts";

const TOPIC = "store";
let db: TestDatabase;
let store: Store;
let partition = 0;

beforeAll(async () => {
  db = await testDatabase();
  store = openStore(db.url, 2);
});
afterAll(async () => {
  await store.end();
  await db.drop();
});

/** A batch at the start of a partition of its own. */
async function batchOf(events: (Event | null)[]): Promise<{ batch: Batch; span: Span }> {
  partition++;
  await store.claim(TOPIC, [{ partition, start: 0, end: 0 }], new Map());
  const batch = newBatch();
  const messages = events.map((event, index) => ({
    offset: index,
    value: event && Buffer.from(JSON.stringify(event)),
  }));
  decodeBatch(batch, messages, Date.now(), 86_400_000);
  return { batch, span: { topic: TOPIC, partition, expected: 0, next: events.length, logEnd: events.length } };
}

const event = (changes: Event = {}): Event => ({ timestamp: Date.now(), service: "web", level: "info", ...changes });

const count = async (userId: string) =>
  (await db.sql`select count(*)::int as count from analytics.events where user_id = ${userId}`)[0]!.count as number;

describe("a row", () => {
  it("reads back as Postgres itself reads the event", async () => {
    const now = Date.now();
    await fc.assert(
      fc.asyncProperty(fc.array(validEvent(now), { minLength: 1, maxLength: 60 }), async (events) => {
        const sent = events.map((it, index) => ({ ...it, request_id: `${partition}-${index}` }));
        const { batch, span } = await batchOf(sent);
        expect(batch.rejects).toEqual([]);
        await store.commit(batch, span);
        const different = await db.sql`
          select event, to_jsonb(stored) as stored
          from jsonb_array_elements(${JSON.stringify(sent)}::text::jsonb) as event
          left join analytics.events as stored on stored.request_id = event ->> 'request_id'
          where (
            stored.time, stored.service, stored.endpoint, stored.level, stored.status_code, stored.latency_ms,
            stored.error_message, stored.error_count, stored.user_id, stored.source_ip, stored.geo_country,
            stored.user_subscription_tier, stored.business_risk_score, stored.trace_id, stored.span_id, stored.attributes
          ) is distinct from (
            case jsonb_typeof(event -> 'timestamp')
              when 'string' then (event ->> 'timestamp')::timestamptz
              else to_timestamp((event ->> 'timestamp')::float8 / 1000)
            end,
            event ->> 'service', event ->> 'endpoint', (event ->> 'level')::analytics.event_level,
            (event ->> 'status_code')::int2, (event ->> 'latency_ms')::float8, event ->> 'error_message',
            coalesce((event ->> 'error_count')::int4, 0), event ->> 'user_id', (event ->> 'source_ip')::inet,
            event ->> 'geo_country', event ->> 'user_subscription_tier', (event ->> 'business_risk_score')::float8,
            event ->> 'trace_id', event ->> 'span_id', nullif(event - ${KNOWN_FIELDS}::text[], '{}')
          )`;
        expect([...different]).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });

  it("keeps 8 KiB of an error message, cut between characters", async () => {
    const { batch, span } = await batchOf([event({ user_id: "long", error_message: `x${"é".repeat(5000)}` })]);
    await store.commit(batch, span);
    const [row] = await db.sql`select error_message from analytics.events where user_id = 'long'`;
    expect(row!.error_message).toBe(`x${"é".repeat(4095)}`);
  });

  it("takes the leniencies of docs/events.md", async () => {
    const { batch, span } = await batchOf([
      event({ user_id: "lenient", level: "Fatal", endpoint: null, latency_ms: -0, error_count: null }),
    ]);
    await store.commit(batch, span);
    const [row] = await db.sql`
      select level, endpoint, latency_ms::text, error_count, attributes from analytics.events where user_id = 'lenient'`;
    expect(row).toEqual({ level: "critical", endpoint: null, latency_ms: "0", error_count: 0, attributes: null });
  });
});

describe("a transaction", () => {
  it("stores rows, rejects and the offset together", async () => {
    const { batch, span } = await batchOf([
      event({ user_id: "both" }),
      null,
      event({ user_id: "both", level: "loud" }),
    ]);
    await store.commit(batch, span);
    expect(await count("both")).toBe(1);
    expect(
      await db.sql`
      select "offset"::int, reason from analytics.rejected_events
      where topic = ${TOPIC} and partition = ${span.partition} order by 1`,
    ).toEqual([
      { offset: 1, reason: "empty_message" },
      { offset: 2, reason: "invalid_field" },
    ]);
    expect(await store.offsets(TOPIC, [span.partition])).toEqual(new Map([[span.partition, 3]]));
  });

  it("of a batch that is stored already stores nothing", async () => {
    const { batch, span } = await batchOf([event({ user_id: "once" }), null]);
    await store.commit(batch, span);
    await expect(store.commit(batch, span)).rejects.toSatisfy(isMoved);
    expect(await count("once")).toBe(1);
    expect(await db.sql`select from analytics.rejected_events where partition = ${span.partition}`).toHaveLength(1);
  });

  it("takes a batch of many chunks", async () => {
    const events = Array.from({ length: 4000 }, (_, id) => event({ user_id: "many", id, note: "x".repeat(1000) }));
    const { batch, span } = await batchOf(events);
    await store.commit(batch, span);
    const [row] = await db.sql`
      select count(distinct attributes -> 'id')::int as ids, min(length(attributes ->> 'note')) as note
      from analytics.events where user_id = 'many'`;
    expect(row).toEqual({ ids: 4000, note: 1000 });
  });

  it("of rejects only moves the offset, too", async () => {
    const { batch, span } = await batchOf([null, null]);
    await store.commit(batch, span);
    expect(await store.offsets(TOPIC, [span.partition])).toEqual(new Map([[span.partition, 2]]));
  });

  it("goes around rows that Postgres refuses", async () => {
    await db.sql`alter table analytics.events add constraint no_number_7 check (user_id <> 'refused' or attributes -> 'id' <> '7')`;
    try {
      const { batch, span } = await batchOf(
        Array.from({ length: 20 }, (_, id) => event({ user_id: "refused", id: id % 8 })),
      );
      await store.commit(batch, span);
      expect(await count("refused")).toBe(18);
      const rejects = await db.sql`
        select "offset"::int, reason, detail, payload::jsonb -> 'id' as id from analytics.rejected_events
        where partition = ${span.partition} order by 1`;
      expect(rejects).toMatchObject([
        { offset: 7, reason: "database_error", detail: expect.stringContaining("no_number_7"), id: 7 },
        { offset: 15, reason: "database_error", detail: expect.stringContaining("(23514)"), id: 7 },
      ]);
      expect(await store.offsets(TOPIC, [span.partition])).toEqual(new Map([[span.partition, 20]]));
    } finally {
      await db.sql`alter table analytics.events drop constraint no_number_7`;
    }
  });

  it("that loses its connection fails, and the next one gets a new connection", async () => {
    const connection = await cuttable(db.url);
    const far = openStore(connection.url, 1);
    const { batch, span } = await batchOf(
      Array.from({ length: 4000 }, () => event({ user_id: "cut", note: "x".repeat(1000) })),
    );
    await far.rawKeep(); // connected
    const committing = far.commit(batch, span);
    setImmediate(connection.cut);
    await expect(committing).rejects.toThrow();
    expect(await count("cut")).toBe(0);
    connection.mend();
    await far.commit(batch, span);
    expect(await count("cut")).toBe(4000);
    await far.end();
    connection.close();
  });
});
