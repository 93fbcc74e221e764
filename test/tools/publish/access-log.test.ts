import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { writeEvent } from "../../../src/ingest/event.ts";
import { RowBuffer } from "../../../src/ingest/row-buffer.ts";
import { readAccessLine } from "../../../tools/publish/access-log.ts";
import { message } from "../../../tools/publish/line.ts";

const COMMON = '203.0.113.9 - - [17/May/2015:10:05:03 +0000] "GET /blog/tags/puppet?flav=rss20 HTTP/1.1" 200 14872';
const COMBINED = `${COMMON} "http://example.org/from" "Mozilla/5.0 (X11; Linux x86_64)"`;

/** The event of a line, without what it does not have. */
function read(line: string, format?: "common" | "combined") {
  const reading = readAccessLine(line, "web", format);
  if (typeof reading === "string") return reading;
  return JSON.parse(message(reading, reading.time)) as Record<string, unknown>;
}

/** COMBINED with other parts. */
function line(parts: {
  host?: string;
  user?: string;
  date?: string;
  request?: string;
  status?: string;
  bytes?: string;
  tail?: string;
}) {
  const { host = "203.0.113.9", user = "-", date = "17/May/2015:10:05:03 +0000" } = parts;
  const { request = "GET / HTTP/1.1", status = "200", bytes = "5", tail = ' "-" "-"' } = parts;
  return `${host} - ${user} [${date}] "${request}" ${status} ${bytes}${tail}`;
}

describe("a line becomes an event", () => {
  test("in the common format", () => {
    expect(read(COMMON)).toEqual({
      timestamp: "2015-05-17T10:05:03.000Z",
      service: "web",
      level: "info",
      endpoint: "/blog/tags/puppet",
      status_code: 200,
      source_ip: "203.0.113.9",
      method: "GET",
      bytes: 14872,
    });
  });

  test("in the combined format, with referrer and user agent", () => {
    expect(read(COMBINED)).toMatchObject({
      endpoint: "/blog/tags/puppet",
      referrer: "http://example.org/from",
      user_agent: "Mozilla/5.0 (X11; Linux x86_64)",
    });
  });

  test("in nginx's main format, with x-forwarded-for", () => {
    expect(read(`${COMBINED} "198.51.100.4, 10.0.0.1"`)).toMatchObject({ forwarded_for: "198.51.100.4, 10.0.0.1" });
  });

  test.each([
    [`${COMMON} 0.123`, 123],
    [`${COMBINED} 0.000`, 0],
    [`${COMBINED} 12.345`, 12345],
    [`${COMMON} 1500`, 1.5],
    [`${COMBINED} 250000`, 250],
  ])("with the time that the request took: %s", (text, latency) => {
    expect(read(text)).toMatchObject({ latency_ms: latency });
  });

  test("without one there is no latency", () => {
    expect(read(COMBINED)).not.toHaveProperty("latency_ms");
  });

  test.each([
    ["200", "info"],
    ["304", "info"],
    ["404", "warning"],
    ["499", "warning"],
    ["500", "error"],
    ["503", "error"],
  ])("status %s is of level %s", (status, level) => {
    expect(read(line({ status }))).toMatchObject({ level, status_code: Number(status) });
  });

  test("user, address and zone", () => {
    expect(read(line({ user: "alice", host: "2001:db8::1", date: "01/Jan/2026:00:30:00 +0130" }))).toMatchObject({
      timestamp: "2025-12-31T23:00:00.000Z",
      user_id: "alice",
      source_ip: "2001:db8::1",
    });
    expect(read(line({ user: "Bob B. Bobson" }))).toMatchObject({ user_id: "Bob B. Bobson" });
    expect(read(line({ user: "-" }))).not.toHaveProperty("user_id");
    expect(read(line({ date: "31/Dec/2025:19:30:00 -0330" }))).toMatchObject({ timestamp: "2025-12-31T23:00:00.000Z" });
  });

  test("a host name is no address", () => {
    const event = read(line({ host: "crawler.example.org" }));
    expect(event).toMatchObject({ client_host: "crawler.example.org" });
    expect(event).not.toHaveProperty("source_ip");
  });

  test("no bytes are 0 bytes", () => {
    expect(read(line({ status: "304", bytes: "-" }))).toMatchObject({ bytes: 0 });
  });

  test.each([
    ["GET /a/b?c=d HTTP/1.1", "GET", "/a/b"],
    ["POST /a#b HTTP/2.0", "POST", "/a"],
    ["GET http://example.org/x?y HTTP/1.1", "GET", "/x"],
    ["GET http://example.org HTTP/1.1", "GET", "/"],
    ["GET ?q HTTP/1.1", "GET", "/"],
    ["OPTIONS * HTTP/1.0", "OPTIONS", "*"],
    ["GET /old", "GET", "/old"],
    ["M-SEARCH * HTTP/1.1", "M-SEARCH", "*"],
  ])("request %s", (request, method, endpoint) => {
    expect(read(line({ request }))).toMatchObject({ method, endpoint });
  });

  test.each(["-", "", "\\x16\\x03\\x01\\x02", "GET", "GET /a b HTTP/1.1"])(
    "what is no request is kept: %s",
    (request) => {
      const event = read(line({ request, status: "400" })) as Record<string, unknown>;
      expect(event).toMatchObject({ status_code: 400, level: "warning" });
      expect(event).not.toHaveProperty("endpoint");
      expect(event.request).toBe(
        request.replaceAll(/\\x(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
      );
    },
  );

  test("escapes of nginx and Apache are undone", () => {
    const tail = ' "-" "say \\x22hi\\x22 \\"there\\" caf\\xC3\\xA9 \\\\ \\t"';
    expect(read(line({ tail }))).toMatchObject({ user_agent: 'say "hi" "there" café \\ \t' });
  });

  test("a path that is too long for the contract is cut, and never in the middle of a character", () => {
    const { endpoint } = read(line({ request: `GET /${"x".repeat(253)}😀 HTTP/1.1` })) as { endpoint: string };
    expect(endpoint).toBe(`/${"x".repeat(253)}`);
  });
});

describe("a line that cannot be read says why", () => {
  test.each([
    ["", "not a line of an access log"],
    ["hello", "not a line of an access log"],
    [COMBINED.slice(0, -5), "not a line of an access log"],
    [`${COMMON} 1 2`, "not a line of an access log"],
    [line({ date: "31/Feb/2025:10:00:00 +0000" }), "no such time: 31/Feb/2025:10:00:00 +0000"],
    [line({ date: "01/Foo/2025:10:00:00 +0000" }), "no such time"],
    [line({ date: "01/Jan/2025:25:00:00 +0000" }), "no such time"],
    [line({ date: "01/Jan/0050:10:00:00 +0000" }), "no such time"],
    [line({ status: "000" }), "no such status: 000"],
    [line({ status: "777" }), "no such status: 777"],
  ])("%s", (text, why) => {
    expect(read(text)).toContain(why);
  });

  test("when the other format was asked for", () => {
    expect(read(COMBINED, "common")).toContain("not the common format");
    expect(read(COMMON, "combined")).toContain("not the combined format");
    expect(read(COMMON, "common")).toHaveProperty("service", "web");
    expect(read(COMBINED, "combined")).toHaveProperty("service", "web");
  });
});

test("a hostile line of a megabyte is refused quickly", () => {
  const started = performance.now();
  for (const part of ['"\\', " [", '" "', "- ", "\\x41", '1 "-" '])
    expect(typeof read(`1.2.3.4 - - [17/May/2015:10:05:03 +0000] "${part.repeat(1_000_000 / part.length)}`)).toBe(
      "string",
    );
  expect(performance.now() - started).toBeLessThan(2_000);
});

describe("whatever stands in a line", () => {
  // Text of any characters in each place, as a log has it: quotes and line ends escaped.
  const quoted = fc.string({ unit: "binary" }).map((text) => text.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n"));
  const time = fc.date({ min: new Date("1970-01-01"), max: new Date("2100-01-01"), noInvalidDate: true });
  const accessLine = fc
    .record({
      host: fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()),
      user: fc.oneof(
        fc.constant("-"),
        fc.string().map((text) => text.replace(/[[\n]/g, "x") || "-"),
      ),
      time,
      request: fc.oneof(
        fc.tuple(fc.constantFrom("GET", "POST"), fc.webPath()).map((parts) => parts.join(" ")),
        quoted,
      ),
      status: fc.integer({ min: 100, max: 599 }),
      bytes: fc.nat(),
      agent: quoted,
      took: fc.option(
        fc.oneof(
          fc.nat().map(String),
          fc.nat(100_000).map((ms) => (ms / 1000).toFixed(3)),
        ),
      ),
    })
    .map(({ host, user, time, request, status, bytes, agent, took }) => {
      const [, day, month, year, clock] = /, (\d\d) (\w{3}) (\d{4}) ([\d:]{8})/.exec(time.toUTCString())!;
      const date = `${day}/${month}/${year}:${clock} +0000`;
      return {
        time,
        text: `${host} - ${user} [${date}] "${request}" ${status} ${bytes} "-" "${agent}"${took ? ` ${took}` : ""}`,
      };
    });

  test("nothing is thrown", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => void readAccessLine(text, "web")));
  });

  test("a line in the format is an event that the ingester takes, at its own second", () => {
    const rows = new RowBuffer();
    const window = { oldest: Number.NEGATIVE_INFINITY, newest: Number.POSITIVE_INFINITY };
    fc.assert(
      fc.property(accessLine, ({ time, text }) => {
        const reading = readAccessLine(text, "web");
        if (typeof reading === "string") throw new Error(reading);
        expect(reading.time).toBe(Math.floor(time.getTime() / 1000) * 1000);
        rows.at = 0;
        writeEvent(rows, Buffer.from(message(reading, reading.time)), window);
      }),
      { numRuns: 500 },
    );
  });

  test("a damaged line is read or refused, and what is read the ingester takes", () => {
    const rows = new RowBuffer();
    const window = { oldest: Number.NEGATIVE_INFINITY, newest: Number.POSITIVE_INFINITY };
    fc.assert(
      fc.property(accessLine, fc.nat(), fc.nat(), fc.string({ unit: "binary" }), ({ text }, a, b, patch) => {
        const bytes = Buffer.from(text);
        const at = a % bytes.length;
        const damaged = Buffer.concat([bytes.subarray(0, at), Buffer.from(patch), bytes.subarray(at + (b % 20))]);
        const reading = readAccessLine(damaged.toString(), "web");
        if (typeof reading === "string") return;
        rows.at = 0;
        writeEvent(rows, Buffer.from(message(reading, reading.time)), window);
      }),
      { numRuns: 500 },
    );
  });
});
