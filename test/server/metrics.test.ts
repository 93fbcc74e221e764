import { afterAll, beforeAll, expect, test } from "vitest";
import { format } from "../../src/server/metrics.ts";
import { type Api, startApi } from "../graphql/api.ts";
import { overEventStream, overWebSocket, until } from "../live/clients.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { ago, insertEvents } from "../sql/events.ts";

let db: TestDatabase;
let api: Api;

beforeAll(async () => {
  db = await testDatabase();
  const now = new Date();
  await insertEvents(
    db.sql,
    Array.from({ length: 40 }, (_, index) => ({
      time: ago(now, 1 + index / 4),
      service: 'we"b\\',
      level: index % 4 === 0 ? ("error" as const) : ("info" as const),
      latency_ms: 20,
    })),
  );
  await db.sql`select analytics.evaluate_alert_rules(as_of => now())`;
  await db.sql`
    insert into internal.ingest_offsets (topic, partition, next_offset, log_end_offset)
    values ('t', 0, 10, 12), ('t', 1, 5, 5)`;
  api = await startApi(db.url);
});
afterAll(async () => {
  await api.stop();
  await db.drop();
});

/** Reads the text format strictly: every line, every name introduced once and in one piece. */
function parse(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const introduced = new Set<string>();
  let current = "";
  for (const line of text.trimEnd().split("\n")) {
    const comment = /^# (HELP|TYPE) ([a-z_0-9]+) (.+)$/.exec(line);
    if (comment) {
      const [, kind, name] = comment;
      if (kind === "HELP") {
        expect(introduced, `${name} comes twice`).not.toContain(name);
        introduced.add(name!);
        current = name!;
      } else expect(line).toMatch(/ (gauge|counter)$/);
      continue;
    }
    const sample = /^([a-z_0-9]+)((?:\{(?:[a-z]+="(?:[^"\\]|\\.)*",?)+\})?) (-?[0-9.e+-]+)$/.exec(line);
    expect(sample, line).not.toBeNull();
    expect(sample![1]).toBe(current);
    const key = sample![1]! + sample![2]!;
    expect(samples.has(key), key).toBe(false);
    samples.set(key, Number(sample![3]));
  }
  return samples;
}

test("/metrics is the Prometheus text format, with the numbers that SQL has", async () => {
  await api.query("{ stats { services } }");
  const response = await fetch(`${api.url}/metrics`);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const samples = parse(await response.text());

  const service = '{service="we\\"b\\\\"}';
  expect(samples.get(`stacklens_service_requests${service}`)).toBe(40);
  expect(samples.get(`stacklens_service_failed_requests${service}`)).toBe(10);
  expect(samples.get(`stacklens_service_latency_p99_milliseconds${service}`)).toBeCloseTo(20, 0);
  expect(samples.get("stacklens_events_last_minute")).toBe(40);
  expect(
    samples.get('stacklens_ingest_lag_messages{topic="t",partition="0"}') ??
      samples.get('stacklens_ingest_lag_messages{partition="0",topic="t"}'),
  ).toBe(2);
  expect(samples.get("stacklens_alert_rules_enabled")).toBe(6);
  // 25 % of the requests failed: both rules about the error rate
  expect(samples.get('stacklens_alerts_firing{severity="critical"}')).toBe(1);
  expect(samples.get('stacklens_alerts_firing{severity="warning"}')).toBe(1);
  expect(samples.get('stacklens_alerts_firing{severity="info"}')).toBe(0);
  expect(samples.get("stacklens_database_up")).toBe(1);
  expect(samples.get('stacklens_http_requests_total{route="/graphql",status="200"}')).toBeGreaterThanOrEqual(1);
  expect(samples.get("process_resident_memory_bytes")).toBeGreaterThan(10_000_000);
});

test("live connections and subscriptions are counted while they are open", async () => {
  const figures = async () => {
    const samples = parse(await (await fetch(`${api.url}/metrics`)).text());
    return [...samples].filter(([name]) => name.startsWith("stacklens_live_")).map((sample) => sample.join(" "));
  };
  const none = [
    'stacklens_live_connections{transport="websocket"} 0',
    'stacklens_live_connections{transport="sse"} 0',
    'stacklens_live_subscriptions{field="alertChanged"} 0',
    'stacklens_live_subscriptions{field="serviceHealth"} 0',
  ];
  expect(await figures()).toEqual(none);

  const changes = "subscription { alertChanged { history { id } } }";
  const open = [
    overWebSocket(api.url).subscribe(changes),
    overEventStream(api.url).subscribe(changes),
    overEventStream(api.url).subscribe("subscription { serviceHealth { service } }"),
  ];
  await until("all are open", async () => (await figures()).map((it) => it.at(-1)).join("") === "1221");
  await Promise.all(open.map((it) => it.stop()));
  await until("none is", async () => (await figures()).join() === none.join());
});

test("counters only grow", async () => {
  const count = async () =>
    parse(await (await fetch(`${api.url}/metrics`)).text()).get(
      'stacklens_http_requests_total{route="/metrics",status="200"}',
    ) ?? 0;
  const before = await count();
  await count();
  expect(await count()).toBe(before + 2);
});

test("values that are not there are left out, and labels are escaped", () => {
  expect(
    format([
      { name: "a", help: "A.", labels: { x: 'q"\\\n' }, value: 1.5 },
      { name: "a", help: "A.", labels: { x: "y" }, value: 2 },
      { name: "b", help: "B.", value: null },
      { name: "c_total", help: "C.", value: 3 },
    ]),
  ).toBe(
    '# HELP a A.\n# TYPE a gauge\na{x="q\\"\\\\\\n"} 1.5\na{x="y"} 2\n# HELP c_total C.\n# TYPE c_total counter\nc_total 3\n',
  );
});
