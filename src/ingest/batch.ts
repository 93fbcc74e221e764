// A batch of messages of one partition, decoded: the rows to COPY, the rejects, and what commit_batch wants to know of them.

import { setImmediate as turn } from "node:timers/promises";
import { eventService, eventTime, type TimeWindow, writeEvent } from "./event.ts";
import { payloadText, Rejection, type RejectReason } from "./reject.ts";
import { RowBuffer } from "./row-buffer.ts";

export type Message = { offset: number; value: Buffer | null };
export type Reject = { offset: number; reason: RejectReason; detail: string; payload: string | null };
export type Seen = { service: string; first_ms: number; last_ms: number };

export type Batch = {
  rows: RowBuffer;
  /** Where each row starts in `rows`, and the offset of its message. */
  rowStarts: number[];
  rowOffsets: number[];
  /** What was decoded. */
  messages: Iterable<Message>;
  rejects: Reject[];
  services: Map<string, Seen>;
  /** Of every minute that lies more than a minute back, the time of its oldest event. */
  oldestByMinute: Map<number, number>;
};

const MINUTE = 60_000;
const MAX_AHEAD = 5 * MINUTE;
const MESSAGES_A_TURN = 1000;

/** An empty batch; decodeBatch fills it, again and again. */
export function newBatch(): Batch {
  return {
    rows: new RowBuffer(),
    rowStarts: [],
    rowOffsets: [],
    messages: [],
    rejects: [],
    services: new Map(),
    oldestByMinute: new Map(),
  };
}

/**
 * Decodes messages into `batch`, each to exactly one row or one reject.
 * @param keep Age in milliseconds up to which events are taken, as analytics.retention says for raw.
 */
export function decodeBatch(batch: Batch, messages: Iterable<Message>, now: number, keep: number): void {
  clear(batch, messages);
  const window = timeWindow(now, keep);
  for (const message of messages) decodeMessage(batch, message, window);
}

/**
 * The same in turns of some 2 ms: between them COPYs get their data and fetches arrive. Decoded in one go, batches left their
 * backends without data, and a fifth of two cores idle.
 */
export async function decodeInTurns(
  batch: Batch,
  messages: Iterable<Message>,
  now: number,
  keep: number,
): Promise<void> {
  clear(batch, messages);
  const window = timeWindow(now, keep);
  let count = 0;
  for (const message of messages) {
    decodeMessage(batch, message, window);
    if (++count % MESSAGES_A_TURN === 0) await turn();
  }
}

function clear(batch: Batch, messages: Iterable<Message>): void {
  batch.rows.at = 0;
  batch.rowStarts.length = 0;
  batch.rowOffsets.length = 0;
  batch.messages = messages;
  batch.rejects.length = 0;
  batch.services.clear();
  batch.oldestByMinute.clear();
}

function timeWindow(now: number, keep: number): TimeWindow & { recent: number } {
  return { oldest: now - keep, newest: now + MAX_AHEAD, recent: now - MINUTE };
}

function decodeMessage(batch: Batch, message: Message, window: TimeWindow & { recent: number }): void {
  const { rows } = batch;
  const rowStart = rows.at;
  try {
    writeEvent(rows, message.value, window);
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    rows.at = rowStart;
    batch.rejects.push(rejected(message, error));
    return;
  }
  batch.rowStarts.push(rowStart);
  batch.rowOffsets.push(message.offset);
  see(batch.services, eventService, eventTime);
  if (eventTime >= window.recent) return;
  const minute = Math.floor(eventTime / MINUTE);
  const oldest = batch.oldestByMinute.get(minute);
  if (oldest === undefined || eventTime < oldest) batch.oldestByMinute.set(minute, eventTime);
}

/** The message of a row. */
export function messageOf(batch: Batch, row: number): Message {
  for (const message of batch.messages) if (message.offset === batch.rowOffsets[row]) return message;
  throw new Error(`row ${row} is of no message`);
}

/** The reject that a message becomes. */
export function rejected(message: Message, { reason, detail }: Rejection): Reject {
  return { offset: message.offset, reason, detail, payload: payloadText(message.value) };
}

function see(services: Map<string, Seen>, service: string, time: number): void {
  const entry = services.get(service);
  if (entry === undefined) services.set(service, { service, first_ms: time, last_ms: time });
  else if (time > entry.last_ms) entry.last_ms = time;
  else if (time < entry.first_ms) entry.first_ms = time;
}
