// Times of events: the window that the ingester takes, and the mapping of --into-last.

const RAW_FLOOR_MS = 24 * 3_600_000; // the shipped retention of raw events
const FUTURE_MS = 5 * 60_000; // clocks may differ by that much

/** Whether the ingester will refuse a time as too late or too early, if the retention is the shipped one. */
export function refused(time: number, now: number): "old" | "new" | undefined {
  if (time < now - RAW_FLOOR_MS) return "old";
  return time > now + FUTURE_MS ? "new" : undefined;
}

/** Maps the span from `first` to `last` linearly onto the `length` before `now`, all in milliseconds. */
export function intoLast(first: number, last: number, length: number, now: number): (time: number) => number {
  const scale = last > first ? length / (last - first) : 0;
  return (time) => Math.round(now - (last - time) * scale);
}

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `30m`, `90s`, `1.5h`, `1d` in milliseconds; undefined for anything else. */
export function readDuration(text: string): number | undefined {
  const parts = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  const length = parts ? Number(parts[1]) * UNITS[parts[2]!]! : 0;
  return length > 0 ? length : undefined;
}
