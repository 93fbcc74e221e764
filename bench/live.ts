// From the commit of an alert's change to the clients of subscriptions, graphql-ws and graphql-sse: one change at a time, then bursts
// of many changes in one commit.

import { setTimeout as sleep } from "node:timers/promises";
import { createClient as createSseClient } from "graphql-sse";
import { createClient as createWsClient } from "graphql-ws";
import { WebSocket } from "ws";
import { freePort } from "../local/ports.ts";
import type { Sql } from "../src/db.ts";
import { answers, type Figures, percentile, startStack } from "./stack.ts";

const BURST = 1_000; // changes in one commit
const SUBSCRIBERS = 20; // of a burst, half of them over each protocol
const LIMIT_MS = 60_000;

const query = (alias = "status") => `subscription {
  alertChanged { history { service previousStatus status reason value } alert { id service severity ${alias}: status message: ruleName } }
}`;
type Result = { data?: { alertChanged: { history: { service: string } } } | null };
/** When the changes of which services came, in performance.now(). */
type Arrived = Map<string, number>;
type Protocol = "WebSocket" | "SSE";

/** Runs the changes; median, p99 and maximum in ms for each protocol, and how long a burst takes to reach everybody. */
export async function benchLive(changes: number): Promise<Figures> {
  const port = String(await freePort());
  const stack = await startStack("live", { PORT: port, SELF_EVENTS: "off" });
  const url = `http://127.0.0.1:${port}/graphql`;
  try {
    stack.start("server.ts");
    await answers(`http://127.0.0.1:${port}/readyz?only=database,graphql`);
    return {
      servers: stack.where,
      changes,
      ...(await oneByOne(stack.sql, url, changes)),
      ...(await burst(stack.sql, url, "the same query", () => query())),
      ...(await burst(stack.sql, url, "queries of their own", (n) => query(`status${n}`))),
    };
  } finally {
    await stack.stop();
  }
}

async function oneByOne(sql: Sql, url: string, changes: number) {
  const subscribers = (["WebSocket", "SSE"] as const).map((protocol) => subscribe(url, protocol, query()));
  await sleep(1_000);
  const committed: Arrived = new Map();
  for (let n = 0; n < changes; n++) {
    const service = `service-${n}`;
    await fire(sql, [service]);
    committed.set(service, performance.now());
    await sleep(50 + Math.random() * 100);
  }
  await everybodyHas(subscribers, changes);
  const figures = subscribers.map(({ protocol, arrived }) => {
    // A change can be there before the one who committed it hears of the commit: 0.
    const took = [...arrived].map(([service, time]) => Math.max(0, time - committed.get(service)!));
    return {
      [`${protocol}: changes that came`]: took.length,
      [`${protocol}: median, ms`]: rounded(percentile(took, 0.5)),
      [`${protocol}: p99, ms`]: rounded(percentile(took, 0.99)),
      [`${protocol}: maximum, ms`]: rounded(Math.max(...took)),
    };
  });
  await Promise.all(subscribers.map(({ stop }) => stop()));
  return Object.assign({}, ...figures) as Record<string, number>;
}

/** Many changes in one commit: until the last subscriber has the last of them. */
async function burst(sql: Sql, url: string, name: string, queryOf: (subscriber: number) => string) {
  const subscribers = Array.from({ length: SUBSCRIBERS }, (_, n) =>
    subscribe(url, n % 2 ? "SSE" : "WebSocket", queryOf(n)),
  );
  await sleep(1_000);
  const before = await cpuSeconds(url);
  await fire(
    sql,
    Array.from({ length: BURST }, (_, n) => `${name} ${n}`),
  );
  const committed = performance.now();
  await everybodyHas(subscribers, BURST);
  const cpu = await cpuSeconds(url);
  const came = subscribers.reduce((sum, { arrived }) => sum + arrived.size, 0);
  const last = Math.max(...subscribers.flatMap(({ arrived }) => [...arrived.values()]));
  await Promise.all(subscribers.map(({ stop }) => stop()));
  const title = `burst of ${BURST} to ${SUBSCRIBERS} with ${name}`;
  return {
    [`${title}: came`]: came,
    [`${title}: last, ms`]: rounded(last - committed),
    [`${title}: CPU of the server, ms`]: rounded((cpu - before) * 1000),
  };
}

async function cpuSeconds(url: string): Promise<number> {
  const text = await (await fetch(new URL("/metrics", url))).text();
  return Number(/^process_cpu_seconds_total (.+)$/m.exec(text)![1]);
}

function subscribe(url: string, protocol: Protocol, text: string) {
  const arrived: Arrived = new Map();
  const client =
    protocol === "WebSocket"
      ? createWsClient({ url: url.replace("http", "ws"), webSocketImpl: WebSocket })
      : createSseClient({ url });
  client.subscribe(
    { query: text },
    {
      next(result: unknown) {
        const service = (result as Result).data?.alertChanged.history.service;
        if (service === undefined || arrived.has(service))
          throw new Error(`wrong or double: ${JSON.stringify(result)}`);
        arrived.set(service, performance.now());
      },
      error(error: unknown) {
        throw error;
      },
      complete() {},
    },
  );
  return { protocol, arrived, stop: async () => client.dispose() };
}

/** Begins an alert of each service, in one commit. */
function fire(sql: Sql, services: string[]) {
  return sql`
    insert into analytics.alerts (
      rule_id, rule_name, rule_version, service, severity, labels, metric, operator, threshold, lookback,
      status, reason, value, started_at, triggered_at, notified_at, evaluated_at, changed_at, breaching_since
    )
    select
      id, name, version, names.service, severity, labels, metric, operator, threshold, lookback,
      'active', 'breach', 50, now(), now(), now(), now(), now(), now()
    from analytics.alert_rules, unnest(${services}::text[]) as names (service)
    where id = 'critical_error_rate'`;
}

async function everybodyHas(subscribers: { arrived: Arrived }[], changes: number): Promise<void> {
  for (const end = Date.now() + LIMIT_MS; Date.now() < end; await sleep(10))
    if (subscribers.every(({ arrived }) => arrived.size === changes)) return;
}

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
