// The decoder: any bytes in, one row or one reject out, by the rules of docs/events.md and its JSON Schema.

import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Batch, decodeBatch, newBatch } from "../../src/ingest/batch.ts";
import { anyEvent, validEvent } from "./arbitrary.ts";

const NOW = Date.parse("2026-07-01T12:30:00Z");
const KEEP = 86_400_000;
const EVENT = { timestamp: NOW, service: "web", level: "info" };

function decode(...values: (Buffer | string | object | null)[]): Batch {
  const batch = newBatch();
  const messages = values.map((value, index) => ({
    offset: index,
    value:
      value === null || Buffer.isBuffer(value)
        ? value
        : Buffer.from(typeof value === "string" ? value : JSON.stringify(value)),
  }));
  decodeBatch(batch, messages, NOW, KEEP);
  return batch;
}

/** "row", or the reason of the reject. */
function outcome(value: Buffer | string | object | null): string {
  const { rowStarts, rejects } = decode(value);
  expect(rowStarts.length + rejects.length).toBe(1);
  return rejects[0]?.reason ?? "row";
}

describe("whatever the bytes", () => {
  it("each message is exactly one row or one reject, in any company", () => {
    const bytes = fc.uint8Array({ maxLength: 60 }).map((it) => Buffer.from(it));
    const damaged = fc
      .tuple(anyEvent(NOW), fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 3 }), fc.nat())
      .map(([event, changes, cut]) => {
        const buffer = Buffer.from(JSON.stringify(event));
        for (const [at, byte] of changes) buffer[at % buffer.length] = byte;
        return cut % 3 === 0 ? buffer.subarray(0, cut % buffer.length) : buffer;
      });
    const message = fc.oneof(
      bytes,
      damaged,
      fc.constant(null),
      validEvent(NOW).map((it) => Buffer.from(JSON.stringify(it))),
    );
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), (messages) => {
        const { rowOffsets, rowStarts, rejects, rows } = decode(...messages);
        expect(rowStarts.length).toBe(rowOffsets.length);
        const offsets = [...rowOffsets, ...rejects.map(({ offset }) => offset)].sort((a, b) => a - b);
        expect(offsets).toEqual(messages.map((_, index) => index));
        expect(rowCount(rows.bytes.subarray(0, rows.at))).toBe(rowStarts.length);
      }),
      { numRuns: 2000 },
    );
  });

  it("text that JSON.parse refuses is refused, and no other is called invalid JSON", () => {
    const damaged = fc
      .tuple(fc.json({ maxDepth: 4 }), fc.nat(), fc.constantFrom(...'{}[]",:0123456789.eE+-\\u tfn\n\t\u0001'))
      .map(([text, at, character]) => {
        const place = at % (text.length + 1);
        return at % 2
          ? text.slice(0, place) + character + text.slice(place)
          : text.slice(0, place) + text.slice(place + 1);
      });
    fc.assert(
      fc.property(damaged, (text) => {
        const kept = text.toWellFormed();
        const isJson = parses(kept);
        const isObject = isJson && typeof JSON.parse(kept) === "object" && /^\s*\{/.test(kept);
        // Levels, texts and numbers have limits of their own; what is wrong first is what is said.
        const result = outcome(kept);
        if (["invalid_text", "invalid_number", "too_deep", "empty_message"].includes(result)) return;
        expect(result === "invalid_json").toBe(!isJson);
        expect(result === "not_an_object").toBe(isJson && !isObject);
      }),
      { numRuns: 4000 },
    );
  });
});

describe("the JSON Schema and the decoder", () => {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
  (addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
  const isValid = ajv.compile(JSON.parse(readFileSync("docs/event.schema.json", "utf8")));

  it("agree on every event, but for times and the leniencies of level and null", () => {
    fc.assert(
      fc.property(anyEvent(NOW), (event) => {
        const result = outcome(event);
        if (result === "too_late" || result === "too_early") return;
        const read = JSON.parse(JSON.stringify(event)) as Record<string, unknown>;
        expect([result === "row", result, read]).toEqual([isValid(read), result, read]);
      }),
      { numRuns: 5000 },
    );
  });

  it("agree on the example of the schema", () => {
    const { examples } = JSON.parse(readFileSync("docs/event.schema.json", "utf8"));
    for (const example of examples) {
      expect(isValid(example)).toBe(true);
      expect(outcome({ ...example, timestamp: NOW })).toBe("row");
    }
  });
});

describe("what is an event", () => {
  it.each(["debug", "trace", "INFO", "Warn", "warning", "ERR", "error", "fatal", "Crit", "CRITICAL"])(
    "level %s",
    (level) => {
      expect(outcome({ ...EVENT, level })).toBe("row");
    },
  );

  it.each([
    ["a fraction of a millisecond", NOW - 0.5],
    ["no fraction", "2026-07-01T12:29:59Z"],
    ["nanoseconds", "2026-07-01T12:29:59.123456789Z"],
    ["small letters", "2026-07-01t12:29:59z"],
    ["a space", "2026-07-01 12:29:59Z"],
    ["a zone", "2026-07-01T18:14:59.5+05:45"],
  ])("a timestamp with %s", (_, timestamp) => {
    expect(outcome({ ...EVENT, timestamp })).toBe("row");
  });

  it("the last of a field that comes twice counts", () => {
    expect(outcome('{"timestamp":0,"service":7,"level":"info","service":"web","timestamp":1782909000000}')).toBe("row");
    expect(outcome('{"timestamp":1782909000000,"service":"web","level":"info","level":"loud"}')).toBe("invalid_field");
  });

  it("a field name may be written with escapes", () => {
    expect(outcome('{"timest\\u0061mp":1782909000000,"s\\u0065rvice":"web","level":"info"}')).toBe("row");
  });

  it("names that mean something to JavaScript are attributes like any other", () => {
    expect(
      outcome('{"timestamp":1782909000000,"service":"web","level":"info","__proto__":{"level":1},"constructor":2}'),
    ).toBe("row");
  });

  it("objects and arrays up to 64 deep, and 255 characters of any size", () => {
    expect(outcome({ ...EVENT, deep: nested(63), service: "💡".repeat(255) })).toBe("row");
  });
});

describe("what is not an event, and why", () => {
  it.each<[string, string, Buffer | string | object | null]>([
    ["empty_message", "a tombstone", null],
    ["empty_message", "no bytes", ""],
    ["too_large", "more than 1 MiB", { ...EVENT, long: "x".repeat(1 << 20) }],
    ["invalid_utf8", "Latin-1", Buffer.from(JSON.stringify({ ...EVENT, service: "Küche" }), "latin1")],
    [
      "invalid_utf8",
      "half of a character in an attribute",
      Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc3]), Buffer.from('"}')]),
    ],
    ["invalid_json", "plain text", "GET / 200"],
    ["invalid_json", "two objects", "{}{}"],
    ["invalid_json", "an end that is missing", '{"service":"web"'],
    ["invalid_json", "a byte order mark", "\ufeff{}"],
    ["not_an_object", "an array", [EVENT]],
    ["not_an_object", "null", "null"],
    ["too_deep", "65 levels", { ...EVENT, deep: nested(64) }],
    ["too_deep", "an endless array", `{"a":${"[".repeat(100_000)}`],
    ["invalid_text", "U+0000", { ...EVENT, request_id: "a\0b" }],
    ["invalid_text", "U+0000 in the name of an attribute", { ...EVENT, "a\0b": 1 }],
    ["invalid_text", "half of a surrogate pair", { ...EVENT, note: "\ud83d" }],
    ["invalid_number", "a huge number", '{"timestamp":1e400}'],
    ["invalid_number", "a long number", `{"timestamp":${"1".repeat(400)}}`],
    ["missing_field", "no timestamp", { ...EVENT, timestamp: undefined }],
    ["missing_field", "no service", { ...EVENT, service: null }],
    ["missing_field", "no level", { ...EVENT, level: undefined }],
    ["missing_field", "nothing", {}],
    ["invalid_field", "no service in it", { ...EVENT, service: "" }],
    ["invalid_field", "256 characters", { ...EVENT, service: "é".repeat(256) }],
    ["invalid_field", "an unknown level", { ...EVENT, level: "loud" }],
    ["invalid_field", "a status of no HTTP", { ...EVENT, status_code: 600 }],
    ["invalid_field", "a number as text", { ...EVENT, status_code: "200" }],
    ["invalid_field", "a negative latency", { ...EVENT, latency_ms: -1 }],
    ["invalid_field", "a risk above 1", { ...EVENT, business_risk_score: 1.01 }],
    ["invalid_field", "too many errors", { ...EVENT, error_count: 2147483648 }],
    ["invalid_field", "a network", { ...EVENT, source_ip: "10.0.0.0/8" }],
    ["invalid_field", "a day that is none", { ...EVENT, timestamp: "2026-02-29T00:00:00Z" }],
    ["invalid_field", "a time without a zone", { ...EVENT, timestamp: "2026-07-01T12:30:00" }],
    ["too_late", "older than raw events are kept", { ...EVENT, timestamp: NOW - KEEP - 1 }],
    ["too_early", "more than 5 minutes ahead", { ...EVENT, timestamp: NOW + 300_001 }],
  ])("%s: %s", (reason, _, value) => {
    expect(outcome(value)).toBe(reason);
  });

  it("says what is wrong with which field, and shows the message", () => {
    const { rejects } = decode({ ...EVENT, status_code: "abc" }, "{", Buffer.from([0x7b, 0x00, 0xff]));
    expect(rejects.map(({ offset, detail }) => [offset, detail])).toEqual([
      [0, 'status_code is "abc": it takes an integer from 100 to 599'],
      [1, "byte 1: the end of the message where a field name starts"],
      [2, "the message is not UTF-8"],
    ]);
    expect(rejects[2]!.payload).toBe("{\u2400\ufffd");
  });

  it("keeps 8 KiB of a long message", () => {
    expect(decode("x".repeat(100_000)).rejects[0]!.payload).toBe("x".repeat(8192));
  });

  it("the bounds of time are in the window", () => {
    expect(outcome({ ...EVENT, timestamp: NOW - KEEP })).toBe("row");
    expect(outcome({ ...EVENT, timestamp: NOW + 300_000 })).toBe("row");
  });
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = i % 2 ? [value] : { a: value };
  return value;
}

/** Counts binary COPY rows by their own lengths: what is written must be whole. */
function rowCount(bytes: Buffer): number {
  let count = 0;
  let at = 0;
  while (at < bytes.length) {
    const fields = bytes.readInt16BE(at);
    expect(fields).toBe(17);
    at += 2;
    for (let field = 0; field < fields; field++) at += 4 + Math.max(bytes.readInt32BE(at), 0);
    count++;
  }
  expect(at).toBe(bytes.length);
  return count;
}
