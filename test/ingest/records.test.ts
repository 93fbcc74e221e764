// Records read from bytes, against batches that are written here by the rules of Kafka's protocol.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { endOfLog, readRecords } from "../../src/ingest/records.ts";
import { type Batch, record, written } from "./log.ts";

const bytes = (maxLength = 300) => fc.uint8Array({ maxLength }).map((it) => Buffer.from(it));

/** A log of batches whose offsets grow, with gaps as compaction leaves them. */
const anyLog = fc
  .array(
    fc.record({
      gap: fc.nat(5),
      gzip: fc.boolean(),
      records: fc.array(
        fc.record({
          gap: fc.nat(3),
          key: fc.option(bytes()),
          value: fc.option(bytes(70_000)),
          headers: fc.array(fc.tuple(fc.string(), bytes(20)), { maxLength: 3 }),
          timestamp: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
        }),
        { minLength: 1, maxLength: 5 },
      ),
    }),
    { maxLength: 4 },
  )
  .chain((batches) =>
    fc.nat({ max: 2 ** 40 }).map((start) => {
      let next = start;
      return batches.map(({ gap, gzip, records }): Batch => {
        const base = next + gap;
        next = base;
        const numbered = records.map((record) => {
          const offset = next + record.gap;
          next = offset + 1;
          return { ...record, offset };
        });
        return { base, gzip, records: numbered };
      });
    }),
  );

const marker = (base: number, producer: bigint, control: "abort" | "commit"): Batch => {
  const key = Buffer.from([0, 0, 0, control === "abort" ? 0 : 1]);
  return { base, producer, transactional: true, control, records: [record(base, "coordinator", key)] };
};
const values = (log: Batch[], from: number, aborted: { producerId: bigint; firstOffset: number }[]) =>
  [...readRecords(Buffer.concat(log.map(written)), from, aborted)].map(({ value }) => value!.toString());

describe("records", () => {
  it("are read as they were written, from any offset on and as often as wanted, without what the end cuts off", () => {
    fc.assert(
      fc.property(anyLog, fc.nat(), fc.nat(), (batches, first, cut) => {
        const all = batches.flatMap(({ records }) => records);
        const from = all.length === 0 ? 0 : all[first % all.length]!.offset;
        const whole = batches.map(written);
        const cutOff = cut % 3 === 0 && whole.length > 0;
        const log = Buffer.concat(whole);
        const read = cutOff ? log.subarray(0, log.length - 1 - (cut % whole.at(-1)!.length)) : log;
        const there = (cutOff ? batches.slice(0, -1) : batches).flatMap(({ records }) => records);
        const expected = there.filter(({ offset }) => offset >= from).map(({ offset, value }) => ({ offset, value }));
        const records = readRecords(read, from, []);
        expect([...records]).toEqual(expected);
        expect([...records]).toEqual(expected);
        expect(endOfLog(read, from)).toBe(there.length > 0 ? there.at(-1)!.offset + 1 : from);
      }),
    );
  });

  it("of aborted transactions are passed over, and their producer's later ones are read", () => {
    const log: Batch[] = [
      { base: 10, producer: 1n, transactional: true, records: [record(10, "aborted")] },
      { base: 11, producer: 2n, transactional: true, records: [record(11, "committed")] },
      { base: 12, producer: 1n, records: [record(12, "in no transaction")] },
      marker(13, 1n, "abort"),
      marker(14, 2n, "commit"),
      { base: 15, producer: 1n, transactional: true, records: [record(15, "the next try")] },
      marker(16, 1n, "commit"),
    ];
    const aborted = [{ producerId: 1n, firstOffset: 10 }];
    expect(values(log, 10, aborted)).toEqual(["committed", "in no transaction", "the next try"]);
    expect(endOfLog(Buffer.concat(log.map(written)), 10)).toBe(17);
  });

  it("of a transaction that aborted after the end of the log are passed over", () => {
    const log: Batch[] = [{ base: 5, producer: 7n, transactional: true, records: [record(5, "aborted later")] }];
    expect(values(log, 5, [{ producerId: 7n, firstOffset: 3 }])).toEqual([]);
  });

  it("that end too early are refused", () => {
    const log = written({ base: 3, records: [record(3, "x"), record(4, "y")] });
    for (let cut = 1; cut < log.length - 61; cut++) {
      const short = log.subarray(0, -cut);
      short.writeInt32BE(short.length - 12, 8);
      expect(() => [...readRecords(short, 0, [])]).toThrow("from offset 3 on are damaged");
    }
  });

  it("in a format older than Kafka 0.11 are refused", () => {
    const log = written({ base: 0, records: [record(0, "x")] });
    log[16] = 1;
    expect(() => readRecords(log, 0, [])).toThrow("records in format 1");
  });
});
