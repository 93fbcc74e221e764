// From the commit of an alert's change to the client of a subscription: graphql-ws and graphql-sse, one change at a time.

import { setTimeout as sleep } from "node:timers/promises";
import { createClient as createSseClient } from "graphql-sse";
import { createClient as createWsClient } from "graphql-ws";
import { WebSocket } from "ws";
import { freePort } from "../local/ports.ts";
import { percentile, startStack } from "./stack.ts";

const QUERY = `subscription {
  alertChanged { history { service previousStatus status reason value } alert { id service severity status message: ruleName } }
}`;
type Result = { data?: { alertChanged: { history: { service: string } } } | null };

/** Runs the changes; median, p99 and maximum in ms for each protocol. */
export async function benchLive(changes: number): Promise<Record<string, string | number>> {
  const port = String(await freePort());
  const stack = await startStack("live", { PORT: port, SELF_EVENTS: "off" });
  const committed = new Map<string, number>();
  const arrived = { ws: new Map<string, number>(), sse: new Map<string, number>() };
  const url = `http://127.0.0.1:${port}/graphql`;
  const ws = createWsClient({ url: url.replace("http", "ws"), webSocketImpl: WebSocket });
  const sse = createSseClient({ url });
  const record = (name: keyof typeof arrived) => ({
    next: (result: unknown) => {
      const service = (result as Result).data?.alertChanged.history.service;
      if (service !== undefined) arrived[name].set(service, performance.now());
    },
    error: (error: unknown) => {
      throw error;
    },
    complete: () => {},
  });
  try {
    stack.start("server.ts");
    for (let answered = false; !answered; await sleep(100))
      answered = await fetch(`http://127.0.0.1:${port}/readyz?only=database,migrations`).then(
        (it) => it.ok,
        () => false,
      );
    await sleep(1_000); // the schema is made
    ws.subscribe({ query: QUERY }, record("ws"));
    sse.subscribe({ query: QUERY }, record("sse"));
    await sleep(1_000);

    for (let n = 0; n < changes; n++) {
      const service = `service-${n}`;
      await stack.sql`
        insert into analytics.alerts (
          rule_id, rule_name, rule_version, service, severity, labels, metric, operator, threshold, lookback,
          status, reason, value, started_at, triggered_at, notified_at, evaluated_at, changed_at, breaching_since
        )
        select
          id, name, version, ${service}, severity, labels, metric, operator, threshold, lookback,
          'active', 'breach', 50, now(), now(), now(), now(), now(), now()
        from analytics.alert_rules where id = 'critical_error_rate'`;
      committed.set(service, performance.now());
      await sleep(50 + Math.random() * 100);
    }
    for (const end = Date.now() + 5_000; Math.min(arrived.ws.size, arrived.sse.size) < changes && Date.now() < end; )
      await sleep(50);
    const figures = (name: string, at: Map<string, number>) => {
      // A change can be there before the one who committed it hears of the commit: 0.
      const took = [...at].map(([service, time]) => Math.max(0, time - committed.get(service)!));
      const rounded = (ms: number) => Math.round(ms * 10) / 10;
      return {
        [`${name}: changes that came`]: took.length,
        [`${name}: median, ms`]: rounded(percentile(took, 0.5)),
        [`${name}: p99, ms`]: rounded(percentile(took, 0.99)),
        [`${name}: maximum, ms`]: rounded(Math.max(...took)),
      };
    };
    return { servers: stack.where, changes, ...figures("WebSocket", arrived.ws), ...figures("SSE", arrived.sse) };
  } finally {
    await ws.dispose();
    sse.dispose();
    await stack.stop();
  }
}
