// IPv4 and IPv6 addresses as Postgres' binary inet: family, bits, is_cidr, length, address.

import { isIPv6 } from "node:net";
import type { RowBuffer } from "./row-buffer.ts";

const AF_INET = 2; // PGSQL_AF_INET, and PGSQL_AF_INET + 1 for IPv6, on every platform
const AF_INET6 = 3;

/** Writes the address that the text in [start, end) names; false when it names none. No zones, no prefixes. */
export function writeAddress(rows: RowBuffer, bytes: Buffer, start: number, end: number): boolean {
  if (writeIPv4(rows, bytes, start, end)) return true;
  const text = bytes.toString("latin1", start, end);
  if (!isIPv6(text) || text.includes("%")) return false;
  rows.int32(20);
  header(rows, AF_INET6, 128, 16);
  for (const group of groups(text)) rows.int16(group);
  return true;
}

function writeIPv4(rows: RowBuffer, bytes: Buffer, start: number, end: number): boolean {
  const row = rows.at;
  rows.int32(8);
  header(rows, AF_INET, 32, 4);
  let at = start;
  for (let part = 0; part < 4; part++) {
    const first = at;
    let value = 0;
    while (at < end && bytes[at]! >= 0x30 && bytes[at]! <= 0x39 && at - first < 4)
      value = value * 10 + bytes[at++]! - 0x30;
    const size = at - first;
    const ends = part === 3 ? at === end : at < end && bytes[at++] === 0x2e;
    if (size === 0 || value > 255 || (size > 1 && bytes[first] === 0x30) || !ends) {
      rows.at = row;
      return false;
    }
    rows.byte(value);
  }
  return true;
}

function header(rows: RowBuffer, family: number, bits: number, length: number): void {
  rows.byte(family);
  rows.byte(bits);
  rows.byte(0);
  rows.byte(length);
}

/** The eight groups of a valid IPv6 address. */
function groups(text: string): number[] {
  const side = (half: string): number[] =>
    half === ""
      ? []
      : half.split(":").flatMap((part) => (part.includes(".") ? quad(part) : [Number.parseInt(part, 16)]));
  const [head, tail] = text.split("::");
  const before = side(head!);
  if (tail === undefined) return before;
  const after = side(tail);
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}

function quad(text: string): number[] {
  const [a, b, c, d] = text.split(".").map(Number) as [number, number, number, number];
  return [a * 256 + b, c * 256 + d];
}
