// Random events for the property tests: valid ones, and ones with a field that may break its rule.

import fc from "fast-check";

/** Text that PostgreSQL can keep: no U+0000, no halves of surrogate pairs. */
const keepable = fc.string({ unit: "binary", maxLength: 40 }).map((text) => text.replaceAll("\0", "0").toWellFormed());
const text = fc.oneof(
  keepable,
  fc.string({ unit: "binary-ascii", maxLength: 255 }).map((it) => it.replaceAll("\0", "0")),
);
/** JSON as jsonb can keep it. */
const json = fc.jsonValue({ maxDepth: 4, noUnicodeString: false }).map(keepableJson);

function keepableJson(value: unknown): unknown {
  if (typeof value === "string") return value.replaceAll("\0", "0").toWellFormed();
  if (Array.isArray(value)) return value.map(keepableJson);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, it]) => [keepableJson(name), keepableJson(it)]));
}

const TEXT_FIELDS = [
  "endpoint",
  "error_message",
  "request_id",
  "user_id",
  "geo_country",
  "user_subscription_tier",
  "trace_id",
  "span_id",
] as const;
export const KNOWN_FIELDS = [
  "timestamp",
  "service",
  "level",
  "status_code",
  "latency_ms",
  "error_count",
  "source_ip",
  "business_risk_score",
  ...TEXT_FIELDS,
];

export type Event = Record<string, unknown>;

/** A valid event; its time is within the last half hour before `now`. */
export function validEvent(now: number): fc.Arbitrary<Event> {
  const time = fc.integer({ min: now - 1_800_000, max: now });
  const optional = {
    ...Object.fromEntries(TEXT_FIELDS.map((field) => [field, fc.oneof(text, fc.constant(null))])),
    status_code: fc.integer({ min: 100, max: 599 }),
    latency_ms: fc.oneof(fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }), fc.nat(), fc.constant(null)),
    error_count: fc.integer({ min: 0, max: 2147483647 }),
    source_ip: fc.oneof(fc.ipV4(), fc.ipV6()),
    business_risk_score: fc.double({ min: 0, max: 1, noNaN: true }),
  };
  return fc
    .tuple(
      fc.record(
        {
          timestamp: fc.oneof(
            time,
            time.map((ms) => new Date(ms).toISOString()),
            fc
              .tuple(time, fc.nat(999), fc.integer({ min: -959, max: 959 }))
              .map(([ms, us, zone]) => written(ms, us, zone)),
          ),
          service: text.filter((it) => it !== ""),
          level: fc.constantFrom("debug", "info", "warning", "error", "critical"),
          ...optional,
        },
        { requiredKeys: ["timestamp", "service", "level"] },
      ),
      fc.dictionary(
        keepable.filter((name) => !KNOWN_FIELDS.includes(name)),
        json,
        { maxKeys: 4 },
      ),
      fc.nat(),
    )
    .map(([known, others, seed]) => shuffled({ ...known, ...others }, seed));
}

/** An event of which some fields may be missing or break their rules. */
export function anyEvent(now: number): fc.Arbitrary<Event> {
  const bounds = fc.constantFrom<unknown>(
    ...[99, 100, 599, 600, 0, -0, -1, 1, 1.000001, 200.5, 2147483647, 2147483648],
    ...["", "x".repeat(255), "x".repeat(256), "💡".repeat(255), "💡".repeat(256), "\0", "\ud800", "now"],
    ...["1.2.3.256", "01.2.3.4", "1.2.3", "::1", "1::2::3", "::ffff:1.2.3.4", "10.0.0.0/8", "fe80::1%eth0"],
    ...[
      "2026-02-30T00:00:00Z",
      "2026-07-01T00:00:00",
      "2026-07-01",
      "2026-07-01T24:00:00Z",
      "2026-07-01T12:00:00+24:00",
    ],
    ...[true, null, [], {}],
  );
  const odd = fc.oneof(bounds, bounds, fc.jsonValue({ maxDepth: 2 }), fc.double(), fc.integer({ min: -2, max: 700 }));
  const field = fc.oneof(fc.constantFrom(...KNOWN_FIELDS), fc.string({ unit: "binary", maxLength: 5 }));
  return fc
    .tuple(
      validEvent(now),
      fc.dictionary(field, odd, { minKeys: 1, maxKeys: 2 }),
      fc.subarray(KNOWN_FIELDS, { maxLength: 2 }),
    )
    .map(([event, changes, missing]) => {
      const changed: Event = { ...event, ...changes };
      for (const name of missing.filter((_, index) => index > 0)) delete changed[name];
      return changed;
    });
}

/** RFC 3339 with microseconds in a zone that is `zone` minutes ahead of UTC; Postgres, the oracle, knows up to 15:59. */
function written(ms: number, microseconds: number, zone: number): string {
  const local = new Date(ms + zone * 60_000).toISOString().slice(0, -1);
  const two = (value: number) => String(value).padStart(2, "0");
  const ahead = Math.abs(zone);
  return `${local}${String(microseconds).padStart(3, "0")}${zone < 0 ? "-" : "+"}${two(Math.floor(ahead / 60))}:${two(ahead % 60)}`;
}

function shuffled(event: Event, seed: number): Event {
  const entries = Object.entries(event);
  return Object.fromEntries(
    entries
      .map((entry, index) => ({ entry, at: (seed * (index + 7)) % 1009 }))
      .sort((a, b) => a.at - b.at)
      .map(({ entry }) => entry),
  );
}
