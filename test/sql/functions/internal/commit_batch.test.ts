import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../../../src/db.ts";
import { type TestDatabase, testDatabase } from "../../../setup/services.ts";

let db: TestDatabase;
let nextPartition = 0;

beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

type Parts = {
  partition?: number;
  expected?: number;
  next?: number;
  services?: { service: string; first_ms: number; last_ms: number }[];
  oldest?: number[];
  rejects?: { offset: number; reason: string; detail: string; payload: string | null }[];
};

async function newPartition(): Promise<number> {
  nextPartition++;
  await db.sql`insert into internal.ingest_offsets (topic, partition, next_offset) values ('t', ${nextPartition}, 10)`;
  return nextPartition;
}

const commit = (partition: number, parts: Parts = {}) => db.sql`
  select internal.commit_batch(
    topic => 't', partition => ${partition}, expected_offset => ${parts.expected ?? 10}, next_offset => ${parts.next ?? 20},
    log_end_offset => 25, services => ${db.sql.json(parts.services ?? [])},
    oldest_by_minute => ${db.sql.json(parts.oldest ?? [])}, rejects => ${db.sql.json(parts.rejects ?? [])}
  )`;

describe("the offset", () => {
  it("moves from the expected to the next one", async () => {
    const partition = await newPartition();
    await commit(partition);
    const [row] = await db.sql`
      select next_offset::int, log_end_offset::int from internal.ingest_offsets where partition = ${partition}`;
    expect(row).toEqual({ next_offset: 20, log_end_offset: 25 });
  });

  it.each([9, 11, 20])("that is expected to be %i when 10 is stored is SL001", async (expected) => {
    const partition = await newPartition();
    await expect(commit(partition, { expected })).rejects.toMatchObject({ code: "SL001" });
  });

  it("moves for one of two ingesters that have read the same batch", async () => {
    const partition = await newPartition();
    const results = await Promise.allSettled([commit(partition), commit(partition)]);
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });
});

describe("services", () => {
  it("are known since their first event came, and anew after a day without", async () => {
    const batch = async (last_ms: number) =>
      commit(await newPartition(), { services: [{ service: "known", first_ms: last_ms, last_ms }] });
    const knownSince = async () =>
      (await db.sql`select known_since from analytics.services where service = 'known'`)[0]?.known_since;
    const [day, hour] = [86_400_000, 3_600_000];
    const before = Date.now();
    await batch(before - 3 * day);
    const first = await knownSince();
    expect(+first).toBeGreaterThanOrEqual(before);
    await batch(before - 3 * day + 23 * hour);
    expect(await knownSince()).toEqual(first);
    await batch(before - day + hour);
    expect(+(await knownSince())).toBeGreaterThan(+first);
  });

  const seen = async (service: string) =>
    (
      await db.sql`
        select extract(epoch from first_seen)::int as first, extract(epoch from last_seen)::int as last
        from analytics.services where service = ${service}`
    )[0];

  it("appear with their first event, and stay within 10 s of their newest one", async () => {
    const batch = async (last: number) =>
      commit(await newPartition(), { services: [{ service: "a", first_ms: 990_000, last_ms: last * 1000 }] });
    await batch(1000);
    expect(await seen("a")).toEqual({ first: 990, last: 1000 });
    await batch(1010);
    expect(await seen("a")).toEqual({ first: 990, last: 1000 });
    await batch(1011);
    expect(await seen("a")).toEqual({ first: 990, last: 1011 });
    await batch(500);
    expect(await seen("a")).toEqual({ first: 990, last: 1011 });
  });

  it("that are known and not much newer are not locked until the commit", async () => {
    const services = [{ service: "b", first_ms: 0, last_ms: 5_000_000 }];
    await commit(await newPartition(), { services });
    await commit(await newPartition(), { services });
    // xmax is who locked or changed the row.
    expect(await db.sql`select xmax::text from analytics.services where service = 'b'`).toEqual([{ xmax: "0" }]);
  });
});

describe("late minutes", () => {
  const minutes = async () =>
    (await db.sql`delete from internal.late_minutes returning minute`).map(({ minute }) => minute.getTime()).sort();

  it("are those that the roll-ups do not look back to", async () => {
    const refreshed = Date.parse("2026-07-01T12:30:00Z");
    await db.sql`update internal.rollups set refreshed_until = ${new Date(refreshed)} where name = '10s'`;
    const oldest = [refreshed - 60_001, refreshed - 60_000, refreshed - 3_600_000 + 7, refreshed + 1000];
    await commit(await newPartition(), { oldest });
    expect(await minutes()).toEqual([refreshed - 3_600_000, refreshed - 120_000]);
  });

  it("before the first refresh are all that are more than a minute old", async () => {
    await db.sql`update internal.rollups set refreshed_until = null where name = '10s'`;
    const now = Date.now();
    await commit(await newPartition(), { oldest: [now - 120_000, now - 30_000] });
    expect(await minutes()).toEqual([Math.floor((now - 120_000) / 60_000) * 60_000]);
  });
});

describe("rejects", () => {
  it("are stored with what is wrong; the same offset of a topic made anew replaces the old one", async () => {
    const partition = await newPartition();
    const reject = { offset: 12, reason: "invalid_json", detail: "byte 0", payload: "it's {" };
    await commit(partition, { rejects: [reject, { ...reject, offset: 13, payload: null }] });
    await db.sql`update internal.ingest_offsets set next_offset = 10 where partition = ${partition}`;
    await commit(partition, { rejects: [{ ...reject, reason: "too_late" }] });
    const rows = await db.sql`
      select "offset"::int, reason, detail, payload from analytics.rejected_events
      where topic = 't' and partition = ${partition} order by 1`;
    expect(rows).toEqual([
      { ...reject, reason: "too_late" },
      { ...reject, offset: 13, payload: null },
    ]);
  });
});

describe("the nudge", () => {
  it("comes with events, and not without", async () => {
    const listener = connect(db.url, "listener", 1);
    const heard: string[] = [];
    await listener.listen("stacklens_ingested", (payload) => heard.push(payload));
    await commit(await newPartition());
    await commit(await newPartition(), { services: [{ service: "n", first_ms: 0, last_ms: 0 }] });
    await expect.poll(() => heard.length).toBe(1);
    await listener.end();
  });
});
