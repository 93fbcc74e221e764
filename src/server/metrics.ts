// GET /metrics in the Prometheus text format: gauges of the database from SQL, then this process. Without the database the process
// is still there, with stacklens_database_up 0.

import type { ServerResponse } from "node:http";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Sql } from "../db.ts";
import type { LiveFigures } from "../live/live.ts";
import { log } from "../log.ts";
import { requests } from "./requests.ts";
import { text } from "./respond.ts";
import { within } from "./within.ts";

type Sample = { name: string; help: string; labels?: Record<string, unknown>; value: number | null };

const STARTED_S = Date.now() / 1000 - process.uptime();
const TIME_MS = 5_000; // Prometheus waits for 10 s
const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();

/** `live`: undefined while there is no schema to subscribe to. */
export async function metrics(
  response: ServerResponse,
  sql: Sql,
  selfEvents: { sent: number; dropped: number },
  live: LiveFigures | undefined,
) {
  const fromDatabase = await database(sql);
  const samples = [...fromDatabase, ...ownProcess(selfEvents), ...(live ? liveSamples(live) : [])];
  text(response, 200, format(samples), "text/plain; version=0.0.4");
}

async function database(sql: Sql): Promise<Sample[]> {
  const up = (value: number) => ({ name: "stacklens_database_up", help: "Whether the database answered.", value });
  try {
    const query = sql<Sample[]>`select name, help, labels, value from internal.prometheus()`;
    return [...(await within(TIME_MS, query)), up(1)];
  } catch (error) {
    log.warn("no metrics from the database", { error });
    return [up(0)];
  }
}

function ownProcess(selfEvents: { sent: number; dropped: number }): Sample[] {
  const { user, system } = process.cpuUsage();
  const p99 = delay.percentile(99) / 1e9;
  delay.reset();
  return [
    { name: "process_start_time_seconds", help: "When the server started.", value: STARTED_S },
    { name: "process_cpu_seconds_total", help: "CPU time of the server.", value: (user + system) / 1e6 },
    { name: "process_resident_memory_bytes", help: "Memory of the server.", value: process.memoryUsage.rss() },
    {
      name: "nodejs_eventloop_delay_p99_seconds",
      help: "How late the event loop was since the last scrape, 99th percentile.",
      value: p99,
    },
    { name: "stacklens_self_events_sent_total", help: "Events about own requests, sent.", value: selfEvents.sent },
    {
      name: "stacklens_self_events_dropped_total",
      help: "Events about own requests that Kafka did not take in time.",
      value: selfEvents.dropped,
    },
    ...[...requests.values()].map(({ route, status, count }) => ({
      name: "stacklens_http_requests_total",
      help: "Requests by route and status.",
      labels: { route, status },
      value: count,
    })),
    ...[...requests.values()].map(({ route, status, seconds }) => ({
      name: "stacklens_http_request_seconds_total",
      help: "Time that requests took, summed.",
      labels: { route, status },
      value: seconds,
    })),
  ];
}

function liveSamples({ connections, subscriptions }: LiveFigures): Sample[] {
  return [
    ...Object.entries(connections).map(([transport, value]) => ({
      name: "stacklens_live_connections",
      help: "Open WebSockets and event streams.",
      labels: { transport },
      value,
    })),
    ...Object.entries(subscriptions).map(([field, value]) => ({
      name: "stacklens_live_subscriptions",
      help: "Subscriptions by the field of the schema.",
      labels: { field },
      value,
    })),
  ];
}

/** Samples of one name stand together; each name is introduced once. */
export function format(samples: Sample[]): string {
  let previous = "";
  return samples
    .filter(({ value }) => value !== null)
    .map(({ name, help, labels, value }) => {
      const type = name.endsWith("_total") ? "counter" : "gauge";
      const head = name === previous ? "" : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
      previous = name;
      const pairs = Object.entries(labels ?? {}).map(([label, text]) => `${label}="${escaped(String(text))}"`);
      return `${head}${name}${pairs.length ? `{${pairs.join(",")}}` : ""} ${value}\n`;
    })
    .join("");
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
