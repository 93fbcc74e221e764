// Logs as a broker answers them, written by the rules of Kafka's protocol.

import { gzipSync } from "node:zlib";

type Rec = { offset: number; key: Buffer | null; value: Buffer | null; headers: [string, Buffer][]; timestamp: bigint };
export type Batch = {
  base: number;
  records: Rec[];
  producer?: bigint;
  transactional?: boolean;
  control?: "abort" | "commit";
  gzip?: boolean;
};

function varint(value: bigint | number): Buffer {
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
  const bytes: number[] = [];
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

const sized = (bytes: Buffer | null) => (bytes ? Buffer.concat([varint(bytes.length), bytes]) : varint(-1));

/** A batch of records as Kafka's protocol has it, by hand. */
export function written({ base, records, producer = -1n, transactional, control, gzip }: Batch): Buffer {
  const body = Buffer.concat(
    records.flatMap(({ offset, key, value, headers, timestamp }) => {
      const record = Buffer.concat([
        Buffer.from([0]),
        varint(timestamp),
        varint(offset - base),
        sized(key),
        sized(value),
        varint(headers.length),
        ...headers.flatMap(([name, content]) => [sized(Buffer.from(name)), sized(content)]),
      ]);
      return [varint(record.length), record];
    }),
  );
  const header = Buffer.alloc(61);
  const content = gzip ? gzipSync(body) : body;
  header.writeBigInt64BE(BigInt(base), 0);
  header.writeInt32BE(header.length - 12 + content.length, 8);
  header[16] = 2;
  header.writeInt16BE((gzip ? 1 : 0) | (transactional ? 0x10 : 0) | (control ? 0x20 : 0), 21);
  header.writeInt32BE(Math.max(0, ...records.map(({ offset }) => offset - base)), 23);
  header.writeBigInt64BE(producer, 43);
  header.writeInt32BE(records.length, 57);
  return Buffer.concat([header, content]);
}

export const record = (offset: number, value: string, key: Buffer | null = null): Rec => ({
  offset,
  key,
  value: Buffer.from(value),
  headers: [],
  timestamp: 0n,
});
