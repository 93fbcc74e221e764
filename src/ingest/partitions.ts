// The partitions that the group gave to this ingester: where each of them is, and the batch of each that is on its way into the
// database. The truth about an offset is its row in internal.ingest_offsets; what is here is only what we expect it to be.

import type { FetchedLog } from "../kafka.ts";
import { log, reason } from "../log.ts";
import { type Outage, watchOutage } from "../outage.ts";
import { type Batch, decodeBatch, decodeInTurns, newBatch } from "./batch.ts";
import { endOfLog, readRecords } from "./records.ts";
import { isMoved, type LogRange, type Span, type Store } from "./store.ts";
import { pause, untilDone } from "./wait.ts";

/** What the partitions need of their surroundings. */
export type Surroundings = {
  topic: string;
  store: Store;
  database: Outage;
  kafka: Outage;
  /** Start and end of the log of every partition of the topic. */
  logRanges: () => Promise<LogRange[]>;
};

export type Assignment = {
  partitions: ReadonlyMap<number, Readonly<Partition>>;
  /** Done when every partition is ready. */
  ready: Promise<void>;
  /** Gives up: no try follows the ones on their way. */
  revoke: () => void;
  /** Aborted by `revoke`. */
  revoked: AbortSignal;
  /** Done when no batch is on its way any more. */
  settled: () => Promise<unknown>;
  /**
   * Where to fetch from after the logs that are `here`, of those of the partitions that are ready; waits until one is. One that could
   * not be read rests for a while.
   */
  wanted: (numbers: number[], here: FetchedLog[]) => Promise<{ partition: number; offset: number }[]>;
  /**
   * Decodes what was fetched, and returns when the batch before it is stored: so there are at most two of a partition. Never fails:
   * a log that cannot be read is said, and asked for again later.
   */
  take: (fetched: FetchedLog) => Promise<void>;
  /** Tells the database how far the logs reach, and goes back where it lost what it had. */
  report: () => Promise<void>;
};

type Partition = {
  number: number;
  /** The next offset to take; undefined while it is looked up. */
  next: number | undefined;
  /** The next offset that was committed to the database. */
  stored: number;
  /** Done when `next` is known. */
  ready: Promise<void>;
  /** Done when the log in hand is decoded. */
  taking: Promise<void>;
  /** Done when the batch in hand is stored, or given up. */
  storing: Promise<void>;
  /** Says that the log cannot be read; until `restsUntil` (epoch ms) it is not asked for again. */
  unreadable: Outage;
  restsUntil: number;
  /** Two batches take turns: one is decoded while the other one is stored. */
  spare: Batch;
  busy: Batch;
};

const SECOND_LOOK_MS = 2_000;
const REST_MS = 10_000;
const DECODED_FOR_MS = 10_000;

/** Totals since the start, for the log. */
export const totals = { events: 0, rejected: 0, transactions: 0 };

/**
 * Takes over partitions after a rebalance. `previous` is what this ingester had until now: its batches on their way are waited
 * for, so that most hand-overs cost nothing; where that is not enough, the compare-and-set in the database decides.
 */
export function assign(around: Surroundings, numbers: number[], previous: Assignment | undefined): Assignment {
  const { topic, store, database, kafka } = around;
  const revoked = new AbortController();
  const { signal } = revoked;
  let keep = 0;
  previous?.revoke();

  const partitions = new Map<number, Partition>();
  for (const number of numbers) {
    partitions.set(number, {
      number,
      next: undefined,
      stored: 0,
      ready: Promise.resolve(),
      taking: Promise.resolve(),
      storing: Promise.resolve(),
      unreadable: watchOutage(`a readable log of partition ${number} of ${topic}`),
      restsUntil: 0,
      spare: newBatch(),
      busy: newBatch(),
    });
  }
  const ready = position([...partitions.values()], previous?.settled());

  /** Finds out where partitions go on. */
  function position(wanted: Partition[], after: Promise<unknown> = Promise.resolve()): Promise<void> {
    for (const partition of wanted) partition.next = undefined;
    const done = (async () => {
      await after;
      await Promise.all(wanted.map((partition) => partition.storing));
      keep = (await untilDone(() => store.rawKeep(), database, signal)) ?? keep;
      const found = wanted.length > 0 && (await lookUp(wanted.map((partition) => partition.number)));
      if (!found || signal.aborted) return;
      for (const partition of wanted) {
        const next = found.get(partition.number);
        if (next === undefined)
          log.warn("the topic has no such partition any more", { topic, partition: partition.number });
        else partition.next = partition.stored = next;
      }
      log.info("reading", { topic, from: [...found].map(([number, next]) => `${number}@${next}`).join(" ") });
    })();
    for (const partition of wanted) partition.ready = done;
    return done;
  }

  async function lookUp(numbers: number[]): Promise<Map<number, number> | undefined> {
    // The stored offsets first: one that was stored after a look at the log may be above the end that was seen.
    const look = async () => {
      const stored = await untilDone(() => store.offsets(topic, numbers), database, signal);
      const ranges = stored && (await untilDone(around.logRanges, kafka, signal));
      return stored && ranges && { stored, ranges: ranges.filter(({ partition }) => numbers.includes(partition)) };
    };
    let now = await look();
    // To start again from the beginning is a big step: look twice, lest a broker had just not caught up.
    if (now?.ranges.some((range) => isOutside(now!.stored.get(range.partition), range))) {
      await pause(SECOND_LOOK_MS, signal);
      now = await look();
    }
    if (now === undefined) return undefined;
    const { stored, ranges } = now;
    const next = await untilDone(() => store.claim(topic, ranges, stored), database, signal);
    for (const range of next ? ranges : []) sayIfOutside(range, stored.get(range.partition));
    return next;
  }

  function isOutside(stored: number | undefined, range: LogRange): boolean {
    return stored !== undefined && (stored < range.start || stored > range.end);
  }

  function sayIfOutside({ partition, start, end }: LogRange, stored: number | undefined): void {
    if (stored === undefined) return;
    if (stored < start)
      log.error("messages were lost before they were read: raise the retention of the topic", {
        topic,
        partition,
        lost: start - stored,
        from: start,
      });
    if (stored > end)
      log.warn("the log ends before the stored offset: the topic was made anew; reading it from its start", {
        topic,
        partition,
        stored,
        log_end: end,
        from: start,
      });
  }

  /** Stores a batch that was decoded at a time (epoch ms), with as many tries as it takes; never fails. */
  async function storeBatch(partition: Partition, batch: Batch, decodedAt: number, span: Span): Promise<void> {
    let firstTry = true;
    try {
      const done = await untilDone(
        async () => {
          // Decoded anew: while the database was away, events may have become too old to be kept.
          if (!firstTry || Date.now() - decodedAt > DECODED_FOR_MS)
            decodeBatch(batch, batch.messages, Date.now(), keep);
          firstTry = false;
          await store.commit(batch, span);
          return true;
        },
        database,
        signal,
        isMoved,
      );
      if (!done) return;
      partition.stored = span.next;
      totals.events += batch.rowStarts.length;
      totals.rejected += batch.rejects.length;
      totals.transactions++;
    } catch (error) {
      log.warn("going on from the stored offset", { topic, partition: partition.number, reason: reason(error) });
      position([partition]);
    } finally {
      batch.messages = []; // they hold on to the whole answer of the broker
    }
  }

  async function takeInTurn(partition: Partition, { from, logEnd, aborted, log }: FetchedLog): Promise<void> {
    // What was fetched before a look-up says where to go on is for nothing.
    const isStale = () => partition.next !== from || signal.aborted;
    if (isStale()) return;
    if (log === "moved") return position([partition]);
    const next = endOfLog(log, from);
    if (next === from) return;

    const batch = partition.spare;
    const decodedAt = Date.now();
    await decodeInTurns(batch, readRecords(log, from, aborted), decodedAt, keep);
    await partition.storing;
    if (isStale()) return;
    partition.unreadable.over();
    partition.spare = partition.busy;
    partition.busy = batch;
    partition.next = next;
    partition.storing = storeBatch(partition, batch, decodedAt, {
      topic,
      partition: partition.number,
      expected: from,
      next,
      logEnd,
    });
  }

  /** Without it the partition would be asked for the same at once, and the others would wait with it. */
  function rest(partition: Partition, from: number, error: unknown): void {
    partition.unreadable.began(
      new Error(
        `from offset ${from}: ${reason(error)}; to skip it, set next_offset in internal.ingest_offsets and start the ingesters again`,
      ),
    );
    partition.restsUntil = Date.now() + REST_MS;
  }

  return {
    partitions,
    ready,
    revoke: () => revoked.abort(),
    revoked: signal,
    settled: () => Promise.all([ready, ...[...partitions.values()].map((partition) => partition.storing)]),

    wanted: async (numbers, here) => {
      const mine = numbers.map((number) => partitions.get(number)!);
      await Promise.race(mine.map((partition) => partition.ready));
      return mine.flatMap(({ number, next, restsUntil }) => {
        if (next === undefined || Date.now() < restsUntil) return [];
        const log = here.find(({ partition, from }) => partition === number && from === next)?.log;
        return { partition: number, offset: Buffer.isBuffer(log) ? endOfLog(log, next) : next };
      });
    },

    take: (fetched) => {
      const partition = partitions.get(fetched.partition)!;
      // One after the other, since they decode into the same batch: two rounds of fetches may overlap.
      partition.taking = partition.taking
        .then(() => takeInTurn(partition, fetched))
        .catch((error) => rest(partition, fetched.from, error));
      return partition.taking;
    },

    report: async (): Promise<void> => {
      keep = await store.rawKeep();
      const mine = [...partitions.values()].filter((partition) => partition.next !== undefined);
      if (mine.length === 0) return;
      const ranges = (await around.logRanges()).filter(
        ({ partition }) => partitions.get(partition)?.next !== undefined,
      );
      const before = new Map(mine.map((partition) => [partition.number, partition.stored]));
      const stored = await store.reportLogEnds(topic, ranges);
      for (const partition of mine) {
        const offset = stored.get(partition.number);
        if (signal.aborted || partition.next === undefined || (offset ?? 0) >= before.get(partition.number)!) continue;
        log.warn("the database came back from an older state: storing again what it lost", {
          topic,
          partition: partition.number,
          stored: offset,
          expected: before.get(partition.number),
        });
        position([partition]);
      }
    },
  };
}
