// Kafka's records as they lie in a fetched log: batches of the format that Kafka has written since 0.11, compressed or not.
// kafkajs makes ten objects of a record, which cost more than to decode the event in it; here a record is its offset and a view
// of its value, garbage before the next one is read, and one batch is decompressed at a time.

import { decompress } from "../codecs.ts";
import type { AbortedTransaction } from "../kafka.ts";
import type { Message } from "./batch.ts";

// The header of a batch: base offset, length of what follows it, leader epoch, magic, CRC, attributes, last offset delta, two
// timestamps, producer id, its epoch and sequence, count of records.
const LENGTH = 8;
const MAGIC = 16;
const ATTRIBUTES = 21;
const LAST_OFFSET_DELTA = 23;
const PRODUCER_ID = 43;
const COUNT = 57;
const HEADER_SIZE = 61;
const LENGTH_END = 12;

const CODEC_MASK = 0x07;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;
const ABORT = 0; // type of a control record, in the second half of its key

type RecordBatch = { base: number; count: number; codec: number; compressed: Buffer };

/**
 * Reads a log that was fetched from offset `from` on, to be gone through as often as wanted. What lies before it in the first batch,
 * records of aborted transactions, and the markers of transactions are passed over, and so is a batch that the end cuts off.
 * @throws Error, here or on the way through, when it is no such log.
 */
export function readRecords(log: Buffer, from: number, aborted: readonly AbortedTransaction[]): Iterable<Message> {
  const batches = committedBatches(log, aborted);
  return { [Symbol.iterator]: () => messages(batches, from) };
}

function committedBatches(log: Buffer, aborted: readonly AbortedTransaction[]): RecordBatch[] {
  const batches: RecordBatch[] = [];
  const starting = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
  const aborting = new Set<bigint>();
  for (const at of wholeBatches(log)) {
    if (log[at + MAGIC] !== 2)
      throw new Error(`records in format ${log[at + MAGIC]}: only 2 can be read, which Kafka writes since 0.11`);
    const attributes = log.readInt16BE(at + ATTRIBUTES);
    const producer = log.readBigInt64BE(at + PRODUCER_ID);
    const compressed = log.subarray(at + HEADER_SIZE, batchEnd(log, at));
    while (starting[0] && starting[0].firstOffset <= lastOffset(log, at)) aborting.add(starting.shift()!.producerId);
    if (attributes & CONTROL) {
      if (controlType(compressed) === ABORT) aborting.delete(producer);
    } else if (!(attributes & TRANSACTIONAL && aborting.has(producer)))
      batches.push({
        base: int64(log, at),
        count: log.readInt32BE(at + COUNT),
        codec: attributes & CODEC_MASK,
        compressed,
      });
  }
  return batches;
}

/** The offset after the last whole batch of a log; `from` where there is none. */
export function endOfLog(log: Buffer, from: number): number {
  let next = from;
  for (const at of wholeBatches(log)) next = lastOffset(log, at) + 1;
  return next;
}

function* wholeBatches(log: Buffer): Generator<number> {
  for (let at = 0; at + HEADER_SIZE <= log.length && batchEnd(log, at) <= log.length; at = batchEnd(log, at)) yield at;
}

function batchEnd(log: Buffer, at: number): number {
  return at + LENGTH_END + log.readInt32BE(at + LENGTH);
}

function lastOffset(log: Buffer, at: number): number {
  return int64(log, at) + log.readInt32BE(at + LAST_OFFSET_DELTA);
}

function* messages(batches: readonly RecordBatch[], from: number): Generator<Message> {
  for (const { base, count, codec, compressed } of batches) {
    const bytes = decompress(codec, compressed);
    let end = 0;
    for (let n = 0; n < count; n++) {
      position = end;
      const size = varint(bytes);
      end = position + size;
      if (size < 0 || end > bytes.length) throw new Error(`the records from offset ${base} on are damaged`);
      position++; // attributes: records have none
      skipVarint(bytes); // timestamp
      const offset = base + varint(bytes);
      const keyLength = varint(bytes);
      position += Math.max(0, keyLength);
      const length = varint(bytes);
      if (offset >= from) yield { offset, value: length < 0 ? null : bytes.subarray(position, position + length) };
    }
  }
}

/** Where `varint` reads. */
let position = 0;

/** A number of at most 32 bits, in groups of 7 bits, the lowest first, its sign in the lowest bit. */
function varint(bytes: Buffer): number {
  let value = 0;
  let shift = 0;
  let byte: number;
  do {
    byte = bytes[position++]!;
    value |= (byte & 0x7f) << shift;
    shift += 7;
  } while (byte >= 0x80);
  return (value >>> 1) ^ -(value & 1);
}

function skipVarint(bytes: Buffer): void {
  while (bytes[position++]! >= 0x80);
}

/** The type of the one record of a control batch: 0 abort, 1 commit. */
function controlType(bytes: Buffer): number {
  position = 0;
  varint(bytes); // size
  position++;
  skipVarint(bytes);
  varint(bytes); // offset
  varint(bytes); // size of the key
  return bytes.readInt16BE(position + 2);
}

function int64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 4294967296 + bytes.readUInt32BE(at + 4);
}
