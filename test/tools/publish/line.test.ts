import fc from "fast-check";
import { expect, test } from "vitest";
import { lineReader, MAX_LINE_LENGTH, message } from "../../../tools/publish/line.ts";
import { UsageError } from "../../../tools/publish/usage-error.ts";

const EVENT = '{"timestamp":"2026-07-01T12:30:00.123456Z","service":"api","level":"info","extra":1}';
const ACCESS = '203.0.113.9 - - [01/Jul/2026:12:30:00 +0000] "GET / HTTP/1.1" 200 5';
const TIME = Date.parse("2026-07-01T12:30:00.123Z");

const auto = lineReader("auto", "web");

function sent(line: string, read = auto) {
  const reading = read(line);
  return typeof reading === "string" ? reading : message(reading, reading.time);
}

test("an event in NDJSON is sent as it is, byte for byte", () => {
  expect(sent(EVENT)).toBe(EVENT);
  expect(sent(`  ${EVENT}`)).toBe(`  ${EVENT}`);
});

test("each line is recognised for itself", () => {
  expect(JSON.parse(sent(ACCESS))).toMatchObject({ service: "web", endpoint: "/" });
  expect(sent("what is this")).toBe("not a line of an access log in the common or combined format, and not JSON");
});

test("a service is given to events that name none, and the others keep theirs", () => {
  const without = '{"timestamp":"2026-07-01T12:30:00.123456Z","level":"info"}';
  expect(JSON.parse(sent(without))).toEqual({ ...JSON.parse(without), service: "web" });
  expect(JSON.parse(sent(EVENT))).toMatchObject({ service: "api" });
  expect(sent(without, lineReader("auto", undefined))).toContain("service");
});

test("an access log without --service is a wrong command line", () => {
  expect(() => lineReader("auto", undefined)(ACCESS)).toThrow(UsageError);
  expect(() => lineReader("auto", undefined)("what is this")).not.toThrow();
});

test("a format that is named is the only one", () => {
  expect(sent(EVENT, lineReader("common", "web"))).toContain("not a line of an access log");
  expect(sent(ACCESS, lineReader("ndjson", "web"))).not.toContain('"endpoint"');
  expect(typeof lineReader("ndjson", "web")(ACCESS)).toBe("string");
});

test.each([
  ['{"timestamp":"yesterday","service":"a","level":"info"}', "timestamp"],
  ['{"service":"a","level":"info"}', "timestamp"],
  ['{"timestamp":0,"service":"a"}', "level"],
  ['{"timestamp":0,"service":"a","level":"loud"}', "level"],
  ['{"timestamp":0,"service":"a","level":"info","status_code":99}', "status_code"],
  ['{"timestamp":0,', ""],
])("what the ingester would reject is not sent: %s", (line, word) => {
  const why = auto(line);
  expect(why).toBeTypeOf("string");
  expect(why).toContain(word);
});

test("another time is written into the event, and nothing else changes", () => {
  const reading = auto(EVENT);
  if (typeof reading === "string") throw new Error(reading);
  expect(reading.time).toBeCloseTo(TIME + 0.456, 2);
  expect(JSON.parse(message(reading, TIME + 60_000))).toEqual({
    ...JSON.parse(EVENT),
    timestamp: new Date(TIME + 60_000).toISOString(),
  });
});

test("a line that Kafka would not take is refused", () => {
  expect(auto(`{"timestamp":0,"service":"a","level":"info","x":"${"y".repeat(MAX_LINE_LENGTH)}"}`)).toContain(
    "longer than",
  );
});

test("nothing in a line makes it throw", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.json(),
    fc.json().map((json) => `{"service":${json}}`),
  );
  fc.assert(fc.property(text, (line) => void auto(line)));
});
