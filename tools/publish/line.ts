// What a line of input is read into, and what it becomes on Kafka.

import { type AccessLogFormat, readAccessLine } from "./access-log.ts";
import { readJsonLine } from "./ndjson.ts";
import { UsageError } from "./usage-error.ts";

export type Format = "auto" | "ndjson" | AccessLogFormat;

/**
 * A line that could be read: its time in epoch milliseconds, and the event, or the line itself where that is the event. An
 * access log's event has an empty timestamp until `message` fills it in.
 */
export type Reading = { time: number } & (
  | { event: Record<string, unknown>; raw?: never }
  | { raw: string; event?: never }
);

/** Longer ones are not read: Kafka takes messages of 1 MB at most. */
export const MAX_LINE_LENGTH = 900_000;

/**
 * Makes the function that reads a line. It answers a string, why the line cannot be read, and never throws for what is in the
 * line; but for an access log, which names no service, where the command line names none either.
 */
export function lineReader(format: Format, service: string | undefined): (line: string) => Reading | string {
  return (line) => {
    if (line.length > MAX_LINE_LENGTH) return `longer than ${MAX_LINE_LENGTH} characters`;
    if (format === "ndjson" || (format === "auto" && /^\s*\{/.test(line))) return readJsonLine(line, service);
    const reading = readAccessLine(line, service ?? "", format === "auto" ? undefined : format);
    if (typeof reading === "string") return format === "auto" ? `${reading}, and not JSON` : reading;
    if (service === undefined)
      throw new UsageError("lines of an access log name no service: say which one it is with --service NAME");
    return reading;
  };
}

/** The message on Kafka: the event at `time`, or untouched where the time stays what the line says. */
export function message(reading: Reading, time: number): string {
  if (reading.raw !== undefined && time === reading.time) return reading.raw;
  const event = reading.event ?? (JSON.parse(reading.raw) as Record<string, unknown>);
  if (time !== reading.time || event.timestamp === "") event.timestamp = new Date(time).toISOString();
  return JSON.stringify(event);
}
