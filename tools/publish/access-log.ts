// One line of an access log in the common or the combined format of nginx and Apache becomes an event.

import { isIP } from "node:net";
import type { Reading } from "./line.ts";

// host ident user [time] "request" status bytes, then for combined "referrer" "user agent" and, as nginx's own main format has
// it, "x-forwarded-for"; last, where the log has one, the time that the request took. No part can match in two ways, so a
// hostile line costs no more than another one.
const QUOTED = '"([^"\\\\]*(?:\\\\.[^"\\\\]*)*)"';
const LINE = new RegExp(
  `^(\\S+) \\S+ ([^[]*) \\[([^\\]]{26})\\] ${QUOTED} (\\d{3}) (\\d+|-)` +
    `(?: ${QUOTED} ${QUOTED}(?: ${QUOTED})?)?(?: (\\d+)(\\.\\d+)?)?$`,
  "s",
);
const REQUEST = /^([A-Z][A-Z_-]*) (\S+)(?: HTTP\/[\d.]+)?$/;
const TIME = /^(\d\d)\/([A-Z][a-z][a-z])\/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)$/;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const MAX_TEXT_LENGTH = 255; // of endpoint and user_id in the contract

export type AccessLogFormat = "common" | "combined";

/** Reads a line of either format, or only of `format`. A string says why the line cannot be read. */
export function readAccessLine(line: string, service: string, format?: AccessLogFormat): Reading | string {
  const parts = LINE.exec(line);
  if (!parts) return "not a line of an access log in the common or combined format";
  const [, host, user, date, request, status, bytes, referrer, agent, forwarded, whole, fraction] = parts;
  if (format && (referrer === undefined) !== (format === "common"))
    return `not the ${format} format: ${referrer === undefined ? "no" : "a"} referrer and user agent`;
  const time = readTime(date!);
  if (time === undefined) return `no such time: ${date}`;
  const code = Number(status);
  if (code < 100 || code > 599) return `no such status: ${status}`;

  const [, method, target] = REQUEST.exec(request!) ?? [];
  const isAddress = isIP(host!) !== 0;
  // A whole number is Apache's %D, microseconds; nginx's $request_time, seconds, always has a decimal point.
  const latency = whole && (fraction ? Math.round(Number(whole + fraction) * 1e6) / 1e3 : Number(whole) / 1e3);
  const event: Reading["event"] = {
    timestamp: "",
    service,
    level: code >= 500 ? "error" : code >= 400 ? "warning" : "info",
    endpoint: target && endpoint(target),
    status_code: code,
    latency_ms: latency === "" ? undefined : latency,
    user_id: user === "-" || user === "" ? undefined : cut(text(user!)),
    source_ip: isAddress ? host : undefined,
    // The rest is no field of the contract and becomes attributes.
    client_host: isAddress ? undefined : text(host!),
    method,
    request: target ? undefined : text(request!), // what is no HTTP request is kept as it came
    bytes: bytes === "-" ? 0 : Number(bytes),
    referrer: given(referrer),
    user_agent: given(agent),
    forwarded_for: given(forwarded),
  };
  return { time, event };
}

let lastDate = "";
let lastTime: number | undefined;

/** `17/May/2015:10:05:03 +0000` in epoch milliseconds. Neighbouring lines often have the same second. */
function readTime(date: string): number | undefined {
  if (date !== lastDate) {
    lastTime = epoch(date);
    lastDate = date;
  }
  return lastTime;
}

function epoch(date: string): number | undefined {
  const parts = TIME.exec(date);
  if (!parts) return undefined;
  const [, day, name, year, hour, minute, second, sign, zoneHours, zoneMinutes] = parts;
  const month = MONTHS.indexOf(name!);
  const utc = Date.UTC(Number(year), month, Number(day), Number(hour), Number(minute), Number(second));
  const back = new Date(utc); // 31 February would have become 3 March, year 50 1950
  const same =
    back.getUTCFullYear() === Number(year) && back.getUTCMonth() === month && back.getUTCDate() === Number(day);
  if (!same || back.getUTCHours() !== Number(hour)) return undefined;
  return utc - (sign === "-" ? -1 : 1) * (Number(zoneHours) * 60 + Number(zoneMinutes)) * 60_000;
}

/** The path of a request target, without query and fragment; of an absolute URL, too, as proxies log it. */
function endpoint(target: string): string {
  const path = target.replace(/^https?:\/\/[^/?#]*/i, "");
  const end = path.search(/[?#]/);
  return cut(text(end < 0 ? path : path.slice(0, end))) || "/";
}

function given(quoted: string | undefined): string | undefined {
  return quoted === undefined || quoted === "-" || quoted === "" ? undefined : text(quoted);
}

/** Undoes the escapes of nginx (\x22) and Apache (\", \\, \t). Postgres has no NUL, so it becomes U+FFFD. */
function text(quoted: string): string {
  const plain = quoted.includes("\\") ? unescaped(quoted) : quoted;
  return plain.includes("\0") ? plain.replaceAll("\0", "\ufffd") : plain;
}

const ESCAPES: Record<string, string> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", v: "\v" };

function unescaped(quoted: string): string {
  return quoted.replace(/((?:\\x[0-9A-Fa-f]{2})+)|\\(.)/gs, (_all, bytes: string | undefined, letter: string) =>
    bytes ? Buffer.from(bytes.replaceAll("\\x", ""), "hex").toString() : (ESCAPES[letter] ?? letter),
  );
}

/** At most 255 characters, and no half of a pair at the end. */
function cut(value: string): string {
  if (value.length <= MAX_TEXT_LENGTH) return value;
  const short = value.slice(0, MAX_TEXT_LENGTH);
  return short.isWellFormed() ? short : short.slice(0, -1);
}
