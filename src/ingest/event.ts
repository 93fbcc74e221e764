// One message in, one row of analytics.events out: the rules of docs/events.md, applied while the row is written.
// Two steps without an object between them: a scan remembers where the value of each known field lies (the last one counts, as
// in JSON.parse), then the columns are written in the order of the COPY.

import { isUtf8 } from "node:buffer";
import { writeAddress } from "./address.ts";
import { seen, skipNumber, skipSpace, skipString, skipValue, unexpected } from "./json.ts";
import { Rejection, reject } from "./reject.ts";
import type { RowBuffer } from "./row-buffer.ts";
import { microseconds, parseTimestamp } from "./timestamp.ts";

/** The columns that a row fills, in its order. */
export const COLUMNS =
  "time, service, endpoint, level, status_code, latency_ms, error_message, error_count, request_id, user_id, source_ip, " +
  "geo_country, user_subscription_tier, business_risk_score, trace_id, span_id, attributes";
const COLUMN_COUNT = COLUMNS.split(", ").length;

// The known fields of an event by number. Every other one becomes part of the last column, attributes.
const TIMESTAMP = 0;
const SERVICE = 1;
const ENDPOINT = 2;
const LEVEL = 3;
const STATUS_CODE = 4;
const LATENCY_MS = 5;
const ERROR_MESSAGE = 6;
const ERROR_COUNT = 7;
const REQUEST_ID = 8;
const USER_ID = 9;
const SOURCE_IP = 10;
const GEO_COUNTRY = 11;
const USER_SUBSCRIPTION_TIER = 12;
const BUSINESS_RISK_SCORE = 13;
const TRACE_ID = 14;
const SPAN_ID = 15;
const FIELDS = [
  "timestamp",
  "service",
  "endpoint",
  "level",
  "status_code",
  "latency_ms",
  "error_message",
  "error_count",
  "request_id",
  "user_id",
  "source_ip",
  "geo_country",
  "user_subscription_tier",
  "business_risk_score",
  "trace_id",
  "span_id",
];
const FIELD_BYTES = FIELDS.map((name) => Buffer.from(name));
const BY_LENGTH: number[][] = [];
for (const [field, name] of FIELDS.entries()) BY_LENGTH[name.length] = [...(BY_LENGTH[name.length] ?? []), field];
for (let length = 0; length < 32; length++) BY_LENGTH[length] ??= [];
const UNKNOWN = -1;

// Producers write their fields in one order. The field that followed each one in the last message is the first guess.
const FIRST = FIELDS.length;
const following = new Uint8Array(FIELDS.length + 1);

// What the value of a field is.
const ABSENT = 0; // or null, which is the same to every known field
const STRING = 1;
const ESCAPED_STRING = 2;
const NUMBER = 3;
const OTHER = 4;

const LEVELS: Record<string, string> = {
  debug: "debug",
  trace: "debug",
  info: "info",
  warning: "warning",
  warn: "warning",
  error: "error",
  err: "error",
  critical: "critical",
  fatal: "critical",
  crit: "critical",
};
const LEVEL_LABELS = Object.entries(LEVELS).map(([name, label]) => ({ name, label: Buffer.from(label) }));

const MAX_EVENT_BYTES = 1 << 20;
const MAX_ERROR_MESSAGE_BYTES = 8192;
const MAX_TEXT_LENGTH = 255;
const MAX_SHOWN_LENGTH = 100;
const INT32_MAX = 2147483647;
const POSTGRES_EPOCH_SECONDS = 946_684_800;
const FIXED_ROW_SIZE = 256; // lengths and numbers of a row; texts and attributes are never longer than the message

/** The window of times that are taken, in epoch milliseconds; both ends are in it. */
export type TimeWindow = { oldest: number; newest: number };

// What the scan found: for each known field the kind of its value and the range of bytes (of a string without its quotes), and
// for the others the ranges from the opening quote of the name to the end of the value.
const kind = new Uint8Array(FIELDS.length);
const start = new Int32Array(FIELDS.length);
const end = new Int32Array(FIELDS.length);
const others: number[] = [];
let othersEnd = 0;

/** Time of the event that `writeEvent` wrote last, in epoch milliseconds with a fraction. */
export let eventTime = 0;
/** Its service. */
export let eventService = "";

/**
 * Writes a message as a row.
 * @throws Rejection when it is not an event by the contract; the caller takes back what was written.
 */
export function writeEvent(rows: RowBuffer, message: Buffer | null, window: TimeWindow): void {
  if (message === null || message.length === 0) reject("empty_message", "the message has no value");
  if (message.length > MAX_EVENT_BYTES)
    reject("too_large", `${message.length} bytes: an event has at most ${MAX_EVENT_BYTES}`);

  try {
    scan(message);
  } catch (error) {
    if (error instanceof Rejection && error.reason === "invalid_json") requireUtf8(message);
    throw error;
  }
  if (seen.bytes > 0x7f) requireUtf8(message);

  rows.reserve(message.length + FIXED_ROW_SIZE);
  rows.int16(COLUMN_COUNT);
  writeTime(rows, message, window);
  writeService(rows, message);
  writeText(rows, message, ENDPOINT);
  writeLevel(rows, message);
  writeStatusCode(rows, message);
  writeFloat(rows, message, LATENCY_MS, Number.MAX_VALUE, "a number of milliseconds, 0 or more");
  writeErrorMessage(rows, message);
  writeErrorCount(rows, message);
  writeText(rows, message, REQUEST_ID);
  writeText(rows, message, USER_ID);
  writeSourceIp(rows, message);
  writeText(rows, message, GEO_COUNTRY);
  writeText(rows, message, USER_SUBSCRIPTION_TIER);
  writeFloat(rows, message, BUSINESS_RISK_SCORE, 1, "a number from 0 to 1");
  writeText(rows, message, TRACE_ID);
  writeText(rows, message, SPAN_ID);
  writeAttributes(rows, message);
}

function requireUtf8(message: Buffer): void {
  if (!isUtf8(message)) reject("invalid_utf8", "the message is not UTF-8");
}

function scan(message: Buffer): void {
  for (let field = 0; field < kind.length; field++) kind[field] = ABSENT;
  othersEnd = 0;
  seen.bytes = 0;
  seen.escape = false;

  let previous = FIRST;
  let at = skipSpace(message, 0);
  if (message[at] !== 0x7b) {
    if (skipSpace(message, skipValue(message, at, 0)) < message.length) unexpected(message, at, "before a JSON object");
    reject("not_an_object", `${shown(message, at, message.length)}: an event is a JSON object`);
  }
  at = skipSpace(message, at + 1);
  if (message[at] === 0x7d) at++;
  else
    for (;;) {
      if (message[at] !== 0x22) unexpected(message, at, "where a field name starts");
      const name = at + 1;
      let field = following[previous]!;
      let nameEnd = name + FIELD_BYTES[field]!.length;
      if (!isNamed(message, name, field)) {
        seen.escape = false;
        nameEnd = skipString(message, name);
        field = seen.escape ? escapedFieldNumber(message, name, nameEnd) : fieldNumber(message, name, nameEnd);
      }
      at = skipSpace(message, nameEnd + 1);
      if (message[at] !== 0x3a) unexpected(message, at, "where a colon belongs");
      at = skipSpace(message, at + 1);
      if (field === UNKNOWN) at = skipOther(message, name - 1, at);
      else {
        at = skipKnown(message, field, at);
        following[previous] = field;
        previous = field;
      }
      at = skipSpace(message, at);
      if (message[at] === 0x7d) {
        at++;
        break;
      }
      if (message[at] !== 0x2c) unexpected(message, at, "where a comma or the end of the object belongs");
      at = skipSpace(message, at + 1);
    }
  at = skipSpace(message, at);
  if (at < message.length) unexpected(message, at, "after the object");
}

function fieldNumber(message: Buffer, at: number, nameEnd: number): number {
  const candidates = BY_LENGTH[nameEnd - at];
  if (candidates === undefined) return UNKNOWN;
  for (let i = 0; i < candidates.length; i++) if (isNamed(message, at, candidates[i]!)) return candidates[i]!;
  return UNKNOWN;
}

/** Whether the field's name and the closing quote stand at `at`. */
function isNamed(message: Buffer, at: number, field: number): boolean {
  const name = FIELD_BYTES[field]!;
  const length = name.length;
  if (message[at + length] !== 0x22) return false;
  for (let i = 0; i < length; i++) if (message[at + i] !== name[i]) return false;
  return true;
}

function escapedFieldNumber(message: Buffer, at: number, nameEnd: number): number {
  return FIELDS.indexOf(unescaped(message, at, nameEnd));
}

function skipOther(message: Buffer, from: number, at: number): number {
  const after = skipValue(message, at, 1);
  others[othersEnd++] = from;
  others[othersEnd++] = after;
  return after;
}

function skipKnown(message: Buffer, field: number, at: number): number {
  const first = message[at] ?? 0;
  if (first === 0x22) {
    seen.escape = false;
    const quote = skipString(message, at + 1);
    kind[field] = seen.escape ? ESCAPED_STRING : STRING;
    start[field] = at + 1;
    end[field] = quote;
    return quote + 1;
  }
  const isNumber = first === 0x2d || (first >= 0x30 && first <= 0x39);
  const after = isNumber ? skipNumber(message, at) : skipValue(message, at, 1);
  kind[field] = isNumber ? NUMBER : first === 0x6e ? ABSENT : OTHER;
  start[field] = at;
  end[field] = after;
  return after;
}

function writeTime(rows: RowBuffer, message: Buffer, window: TimeWindow): void {
  const field = TIMESTAMP;
  let seconds: number;
  let micros: number;
  if (kind[field] === STRING || kind[field] === ESCAPED_STRING) {
    const text = kind[field] === STRING ? undefined : Buffer.from(unescaped(message, start[field]!, end[field]!));
    seconds = parseTimestamp(text ?? message, text ? 0 : start[field]!, text ? text.length : end[field]!);
    micros = microseconds;
  } else if (kind[field] === NUMBER) {
    const ms = number(message, start[field]!, end[field]!);
    seconds = Math.floor(ms / 1000);
    micros = Math.round((ms - seconds * 1000) * 1000);
  } else if (kind[field] === ABSENT) missing(field);
  else invalid(message, field, TIMESTAMP_RULE);
  if (Number.isNaN(seconds)) invalid(message, field, TIMESTAMP_RULE);

  eventTime = seconds * 1000 + micros / 1000;
  if (eventTime < window.oldest)
    outside("too_late", message, field, "raw events are not kept as long as", window.oldest);
  if (eventTime > window.newest) outside("too_early", message, field, "the clock here allows up to", window.newest);
  rows.int32(8);
  rows.int64((seconds - POSTGRES_EPOCH_SECONDS) * 1e6 + micros);
}

const TIMESTAMP_RULE = 'a timestamp like "2026-07-01T12:30:00.123Z", or a number of milliseconds since 1970';

function outside(reason: "too_late" | "too_early", message: Buffer, field: number, why: string, bound: number): never {
  reject(reason, `timestamp is ${fieldShown(message, field)}: ${why} ${new Date(bound).toISOString()}`);
}

function writeService(rows: RowBuffer, message: Buffer): void {
  const at = rows.at;
  if (kind[SERVICE] === ABSENT) missing(SERVICE);
  writeText(rows, message, SERVICE);
  if (rows.at === at + 4) invalid(message, SERVICE, "a text of 1 to 255 characters");
  eventService = serviceName(rows.bytes, at + 4, rows.at);
}

// Names of services by a hash of their bytes: to make a string of the same few again and again, and to hash it, takes 0.15 us.
type Name = { bytes: Buffer; text: string };
const NAMES = 1024;
const names: Name[] = Array.from({ length: NAMES }, () => ({ bytes: Buffer.alloc(0), text: "" }));

function serviceName(bytes: Buffer, from: number, to: number): string {
  let hash = 0;
  for (let i = from; i < to; i++) hash = (Math.imul(hash, 31) + bytes[i]!) | 0;
  const slot = hash & (NAMES - 1);
  const known = names[slot]!;
  if (equals(known.bytes, bytes, from, to)) return known.text;
  const name = { bytes: Buffer.from(bytes.subarray(from, to)), text: bytes.toString("utf8", from, to) };
  names[slot] = name;
  return name.text;
}

function equals(known: Buffer, bytes: Buffer, from: number, to: number): boolean {
  if (known.length !== to - from) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[from + i]) return false;
  return true;
}

function writeLevel(rows: RowBuffer, message: Buffer): void {
  if (kind[LEVEL] === ABSENT) missing(LEVEL);
  if (kind[LEVEL] === ESCAPED_STRING) {
    const text = Buffer.from(unescaped(message, start[LEVEL]!, end[LEVEL]!));
    if (writeLevelLabel(rows, text, 0, text.length)) return;
  }
  if (kind[LEVEL] === STRING && writeLevelLabel(rows, message, start[LEVEL]!, end[LEVEL]!)) return;
  invalid(message, LEVEL, "debug, info, warning, error or critical");
}

function writeLevelLabel(rows: RowBuffer, bytes: Buffer, from: number, to: number): boolean {
  search: for (let i = 0; i < LEVEL_LABELS.length; i++) {
    const { name, label } = LEVEL_LABELS[i]!;
    if (name.length !== to - from) continue;
    // Names are letters only, and no other byte becomes a letter by setting the bit of lower case.
    for (let j = 0; j < name.length; j++) if ((bytes[from + j]! | 0x20) !== name.charCodeAt(j)) continue search;
    rows.int32(label.length);
    rows.copy(label, 0, label.length);
    return true;
  }
  return false;
}

function writeStatusCode(rows: RowBuffer, message: Buffer): void {
  if (kind[STATUS_CODE] === ABSENT) {
    rows.null();
    return;
  }
  const code = numberOf(message, STATUS_CODE);
  if (!(Number.isInteger(code) && code >= 100 && code <= 599))
    invalid(message, STATUS_CODE, "an integer from 100 to 599");
  rows.int32(2);
  rows.int16(code);
}

function writeErrorCount(rows: RowBuffer, message: Buffer): void {
  const count = kind[ERROR_COUNT] === ABSENT ? 0 : numberOf(message, ERROR_COUNT);
  if (!(Number.isInteger(count) && count >= 0 && count <= INT32_MAX))
    invalid(message, ERROR_COUNT, `an integer from 0 to ${INT32_MAX}`);
  rows.int32(4);
  rows.int32(count);
}

function writeFloat(rows: RowBuffer, message: Buffer, field: number, max: number, rule: string): void {
  if (kind[field] === ABSENT) {
    rows.null();
    return;
  }
  const value = numberOf(message, field);
  if (!(value >= 0 && value <= max)) invalid(message, field, rule);
  rows.int32(8);
  rows.float64(value + 0); // -0 becomes 0
}

function writeText(rows: RowBuffer, message: Buffer, field: number): void {
  if (kind[field] === ABSENT) {
    rows.null();
    return;
  }
  const at = rows.at;
  writeWholeText(rows, message, field);
  if (rows.at - at - 4 > MAX_TEXT_LENGTH && characters(rows.bytes, at + 4, rows.at) > MAX_TEXT_LENGTH)
    invalid(message, field, `a text of at most ${MAX_TEXT_LENGTH} characters`);
}

function writeErrorMessage(rows: RowBuffer, message: Buffer): void {
  if (kind[ERROR_MESSAGE] === ABSENT) {
    rows.null();
    return;
  }
  const at = rows.at;
  writeWholeText(rows, message, ERROR_MESSAGE);
  let cut = at + 4 + MAX_ERROR_MESSAGE_BYTES;
  if (rows.at <= cut) return;
  while ((rows.bytes[cut]! & 0xc0) === 0x80) cut--;
  rows.at = cut;
  rows.view.setInt32(at, cut - at - 4);
}

function writeWholeText(rows: RowBuffer, message: Buffer, field: number): void {
  const from = start[field]!;
  const to = end[field]!;
  if (kind[field] === STRING) {
    rows.int32(to - from);
    rows.copy(message, from, to);
  } else if (kind[field] === ESCAPED_STRING) {
    const length = rows.bytes.write(unescaped(message, from, to), rows.at + 4);
    rows.int32(length);
    rows.at += length;
  } else invalid(message, field, "a text");
}

function writeSourceIp(rows: RowBuffer, message: Buffer): void {
  if (kind[SOURCE_IP] === ABSENT) {
    rows.null();
    return;
  }
  if (kind[SOURCE_IP] === ESCAPED_STRING) {
    const text = Buffer.from(unescaped(message, start[SOURCE_IP]!, end[SOURCE_IP]!));
    if (writeAddress(rows, text, 0, text.length)) return;
  }
  if (kind[SOURCE_IP] === STRING && writeAddress(rows, message, start[SOURCE_IP]!, end[SOURCE_IP]!)) return;
  invalid(message, SOURCE_IP, "an IPv4 or IPv6 address");
}

function writeAttributes(rows: RowBuffer, message: Buffer): void {
  if (othersEnd === 0) {
    rows.null();
    return;
  }
  const at = rows.at;
  rows.at += 4;
  rows.byte(1); // version of jsonb's binary format, which is its text
  for (let i = 0; i < othersEnd; i += 2) {
    rows.byte(i === 0 ? 0x7b : 0x2c);
    rows.copy(message, others[i]!, others[i + 1]!);
  }
  rows.byte(0x7d);
  rows.view.setInt32(at, rows.at - at - 4);
}

function numberOf(message: Buffer, field: number): number {
  return kind[field] === NUMBER ? number(message, start[field]!, end[field]!) : Number.NaN;
}

/** The double nearest to a number literal. Up to 15 digits over a power of ten up to 22 divide exactly; the rest is left to V8. */
function number(bytes: Buffer, from: number, to: number): number {
  let mantissa = 0;
  let point = -1;
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!;
    if (byte >= 0x30 && byte <= 0x39) mantissa = mantissa * 10 + byte - 0x30;
    else if (byte === 0x2e) point = i;
    else return Number(bytes.toString("latin1", from, to));
  }
  if (to - from > 16) return Number(bytes.toString("latin1", from, to));
  return point < 0 ? mantissa : mantissa / POWERS_OF_TEN[to - point - 1]!;
}

const POWERS_OF_TEN = Array.from({ length: 17 }, (_, exponent) => 10 ** exponent);

/** The text of a string with escapes. */
function unescaped(message: Buffer, from: number, to: number): string {
  return JSON.parse(message.toString("utf8", from - 1, to + 1)) as string;
}

function characters(bytes: Buffer, from: number, to: number): number {
  let count = 0;
  for (let i = from; i < to; i++) if ((bytes[i]! & 0xc0) !== 0x80) count++;
  return count;
}

function missing(field: number): never {
  reject("missing_field", `${FIELDS[field]} is missing`);
}

function invalid(message: Buffer, field: number, rule: string): never {
  reject("invalid_field", `${FIELDS[field]} is ${fieldShown(message, field)}: it takes ${rule}`);
}

function fieldShown(message: Buffer, field: number): string {
  const quote = kind[field] === STRING || kind[field] === ESCAPED_STRING ? 1 : 0;
  return shown(message, start[field]! - quote, end[field]! + quote);
}

function shown(message: Buffer, from: number, to: number): string {
  const text = message.toString("utf8", from, Math.min(to, from + MAX_SHOWN_LENGTH * 4));
  return to - from <= MAX_SHOWN_LENGTH ? text : `${text.slice(0, MAX_SHOWN_LENGTH).toWellFormed()}…`;
}
