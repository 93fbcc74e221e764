// The database of the ingester: one batch, one transaction, one round trip.
//
// The COPY and the call of commit_batch are one query message, so that they are one transaction without a BEGIN: either the rows,
// the rejects and the new offset are stored, or nothing is. It goes through pg and not through postgres.js, whose COPY waits for
// ever when the server finds an error in the data after the last byte was sent.

import pg from "pg";
import { type Batch, messageOf, rejected } from "./batch.ts";
import { COLUMNS } from "./event.ts";
import { Rejection } from "./reject.ts";

/** Where a batch lies in its partition. */
export type Span = { topic: string; partition: number; expected: number; next: number; logEnd: number };
export type LogRange = { partition: number; start: number; end: number };
export type Store = ReturnType<typeof openStore>;

const COPY = `copy analytics.events (${COLUMNS}) from stdin (format binary)`;
const COPY_HEADER = Buffer.concat([Buffer.from("PGCOPY\n\xff\r\n\0", "latin1"), Buffer.alloc(8)]);
const COPY_END = Buffer.from([0xff, 0xff]);
const COPY_CHUNK = 256 * 1024;

// What a crash of the database takes with it comes again from Kafka, because the offset goes with it. A commit need not wait.
const SETTINGS = "set local synchronous_commit = off; set local statement_timeout = '60s'";
// When even that does not come through, the connection is dead.
const ANSWER_LIMIT_MS = 90_000;

/** commit_batch found another offset than the expected one. */
export function isMoved(error: unknown): boolean {
  return sqlState(error) === "SL001";
}

/** Data exceptions, constraints, and program limits: something about a row, which another try would not change. */
function isAboutData(error: unknown): boolean {
  return /^(22|23|54)/.test(sqlState(error));
}

function sqlState(error: unknown): string {
  return (error instanceof pg.DatabaseError && error.code) || "";
}

/** Opens the pool of the ingester; `max` batches are stored at a time. */
export function openStore(databaseUrl: string, max: number) {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    application_name: "stacklens ingest",
    max,
    keepAlive: true,
    connectionTimeoutMillis: 10_000,
  });
  // A lost connection fails the query that is on it; without listeners it would end the process, too.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));

  async function withClient<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await pool.connect();
    const tooLong = setTimeout(() => (client as unknown as Wire).connection.stream.destroy(), ANSWER_LIMIT_MS);
    let broken = true;
    try {
      const result = await work(client);
      broken = false;
      return result;
    } catch (error) {
      broken = !(error instanceof pg.DatabaseError) || error.severity === "FATAL";
      throw error;
    } finally {
      clearTimeout(tooLong);
      client.release(broken);
    }
  }

  return {
    /** Stores a batch and moves the offset of its partition; a row that Postgres does not take becomes a reject. */
    commit: (batch: Batch, span: Span): Promise<void> =>
      withClient(async (client) => {
        try {
          await send(
            client,
            `${SETTINGS}; ${batch.rowStarts.length ? `${COPY}; ` : ""}${commitCall(batch, span)}`,
            batch,
          );
        } catch (error) {
          if (!isAboutData(error)) throw error;
          await commitAroundBadRows(client, batch, span);
        }
      }),

    /** The stored next offset of those partitions that have one. */
    offsets: async (topic: string, partitions: number[]): Promise<Map<number, number>> => {
      const { rows } = await pool.query<{ partition: number; next_offset: string }>(
        "select partition, next_offset from internal.ingest_offsets where topic = $1 and partition = any ($2)",
        [topic, partitions],
      );
      return new Map(rows.map((row) => [row.partition, Number(row.next_offset)]));
    },

    /** The offset from which each partition goes on, given the offsets stored before and what Kafka has. */
    claim: async (topic: string, logs: LogRange[], stored: Map<number, number>): Promise<Map<number, number>> => {
      const { rows } = await pool.query<{ partition: number; next_offset: string }>(
        `select partition, next_offset from internal.claim_partitions(
           topic => $1, partitions => $2, stored_offsets => $3, log_start_offsets => $4, log_end_offsets => $5)`,
        [
          topic,
          logs.map((log) => log.partition),
          logs.map((log) => stored.get(log.partition) ?? null),
          logs.map((log) => log.start),
          logs.map((log) => log.end),
        ],
      );
      return new Map(rows.map((row) => [row.partition, Number(row.next_offset)]));
    },

    /** Says how far the logs reach, and gets the stored next offsets. */
    reportLogEnds: async (topic: string, logs: LogRange[]): Promise<Map<number, number>> => {
      const { rows } = await pool.query<{ partition: number; next_offset: string }>(
        `select partition, next_offset from internal.report_log_ends(
           topic => $1, partitions => $2, log_end_offsets => $3)`,
        [topic, logs.map((log) => log.partition), logs.map((log) => log.end)],
      );
      return new Map(rows.map((row) => [row.partition, Number(row.next_offset)]));
    },

    /** For how many milliseconds raw events are kept. */
    rawKeep: async (): Promise<number> => {
      const { rows } = await pool.query<{ ms: number }>(
        "select extract(epoch from keep)::float8 * 1000 as ms from analytics.retention where tier = 'raw'",
      );
      if (rows[0] === undefined) throw new Error("analytics.retention has no row for raw: insert one");
      return rows[0].ms;
    },

    end: (): Promise<void> => pool.end(),
  };
}

/**
 * The slow way around what validation did not see: rows that Postgres refuses are found by halving, each try in a savepoint, and
 * become rejects.
 */
async function commitAroundBadRows(client: pg.PoolClient, batch: Batch, span: Span): Promise<void> {
  const copyRange = async (from: number, to: number): Promise<void> => {
    await client.query("savepoint rows");
    try {
      await send(client, COPY, batch, from, to);
      await client.query("release savepoint rows");
      return;
    } catch (error) {
      if (!isAboutData(error)) throw error;
      await client.query("rollback to savepoint rows; release savepoint rows");
      if (to - from === 1) {
        const { message, code } = error as pg.DatabaseError;
        batch.rejects.push(rejected(messageOf(batch, from), new Rejection("database_error", `${message} (${code})`)));
        return;
      }
    }
    const middle = (from + to) >> 1;
    await copyRange(from, middle);
    await copyRange(middle, to);
  };

  await client.query("begin");
  try {
    await client.query(SETTINGS);
    await copyRange(0, batch.rowStarts.length);
    await client.query(commitCall(batch, span));
    await client.query("commit");
  } catch (error) {
    await client.query("rollback").catch(() => {});
    throw error;
  }
}

function commitCall(batch: Batch, { topic, partition, expected, next, logEnd }: Span): string {
  return `select internal.commit_batch(
    topic => ${pg.escapeLiteral(topic)}, partition => ${partition},
    expected_offset => ${expected}, next_offset => ${next}, log_end_offset => ${logEnd},
    services => ${json([...batch.services.values()])}, oldest_by_minute => ${json([...batch.oldestByMinute.values()])},
    rejects => ${json(batch.rejects)})`;
}

function json(value: unknown): string {
  return pg.escapeLiteral(JSON.stringify(value));
}

type Wire = { connection: pg.Connection };

/** Runs a query message that may hold one COPY, and feeds it the rows [from, to) when the server asks for them. */
function send(client: pg.PoolClient, text: string, batch: Batch, from = 0, to = batch.rowStarts.length): Promise<void> {
  const start = batch.rowStarts[from] ?? 0;
  const end = batch.rowStarts[to] ?? batch.rows.at;
  return new Promise((resolve, reject) => {
    // pg's contract for queries of one's own, as pg-cursor and pg-copy-streams have them.
    client.query({
      submit: (connection: pg.Connection) => connection.query(text),
      handleCopyInResponse: (connection: CopyConnection) => {
        connection.sendCopyFromChunk(COPY_HEADER);
        for (let at = start; at < end; at += COPY_CHUNK)
          connection.sendCopyFromChunk(batch.rows.bytes.subarray(at, Math.min(at + COPY_CHUNK, end)));
        connection.sendCopyFromChunk(COPY_END);
        connection.endCopyFrom();
      },
      handleRowDescription: () => {},
      handleDataRow: () => {},
      handlePortalSuspended: () => {},
      handleCommandComplete: () => {},
      handleEmptyQuery: () => {},
      handleError: reject,
      handleReadyForQuery: () => resolve(),
    } as pg.Submittable);
  });
}

type CopyConnection = pg.Connection & { sendCopyFromChunk: (chunk: Buffer) => void; endCopyFrom: () => void };
