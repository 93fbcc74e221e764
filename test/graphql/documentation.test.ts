// Every query of docs/graphql.md against real events: no errors, and no list stays empty unless it must.

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { overWebSocket, until } from "../live/clients.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { ago, insertEvents } from "../sql/events.ts";
import { type Api, startApi } from "./api.ts";

const page = readFileSync("docs/graphql.md", "utf8");
const queries = [...page.matchAll(/^```graphql\n(.*?)^```/gms)].map(([, query], index) => ({
  name: `${index + 1}: ${query!.trim().split("\n")[1]?.trim()}`,
  query: query!,
}));

const isSubscription = (query: string) => query.startsWith("subscription");

let db: TestDatabase;
let api: Api;
let alertId: string;

beforeAll(async () => {
  db = await testDatabase();
  const now = new Date();
  await insertEvents(
    db.sql,
    Array.from({ length: 600 }, (_, index) => ({
      time: ago(now, index / 2),
      service: index % 4 === 0 ? "billing" : "web",
      endpoint: ["/", "/checkout", "/search"][index % 3]!,
      level: index % 5 === 0 ? ("error" as const) : ("info" as const),
      status_code: index % 5 === 0 ? 500 : 200,
      latency_ms: 5 + (index % 100),
      user_id: `user-${index % 17}`,
      business_risk_score: index % 50 === 0 ? 0.95 : 0.1,
    })),
  );
  await db.sql`call internal.refresh_rollups()`;
  await db.sql`
    insert into analytics.rejected_events (topic, partition, "offset", reason, detail, payload)
    values ('t', 0, 1, 'invalid_json', 'is not JSON', '{')`;
  await db.sql`select analytics.evaluate_alert_rules(as_of => now())`;
  alertId = await openAlert();
  api = await startApi(db.url);
});
afterAll(async () => {
  await api.stop();
  await db.drop();
});

const openAlert = async () => {
  const [alert] = await db.sql`select id from analytics.active_alerts where service = 'web' and severity = 'warning'`;
  return alert!.id as string;
};

/** Nothing was ever resolved here, and the shipped data has no NULL that a query asks for. */
const MAY_BE_EMPTY = new Set(["alerts"]);

test("the page has queries", () => {
  expect(queries.length).toBeGreaterThan(12);
});

test.each(queries.filter(({ query }) => !isSubscription(query)))("$name", async ({ query }) => {
  const since = ago(new Date(), 3600).toISOString();
  const { status, data, errors } = await api.query(query, { alertId, since, after: null });
  expect(errors).toBeUndefined();
  expect(status).toBe(200);
  for (const [field, value] of Object.entries(data as Record<string, { nodes?: unknown[] } | null>)) {
    expect(value, field).not.toBeNull();
    if (value?.nodes && !MAY_BE_EMPTY.has(field)) expect(value.nodes, field).not.toEqual([]);
  }
});

test.each(queries.filter(({ query }) => isSubscription(query)))(
  "$name, which something happens to",
  async ({ query }) => {
    // A query above resolved the alert by hand; the rule still breaches, so there is a new one.
    await db.sql`select analytics.evaluate_alert_rules(as_of => clock_timestamp())`;
    const id = await openAlert();
    const subscription = overWebSocket(api.url).subscribe(query);
    // The change of an alert that fires: until the server listens, it misses it.
    await until("a result", async () => {
      await db.sql`select analytics.acknowledge_alert(alert_id => ${id})`;
      await db.sql`
        update analytics.alerts set reason = case reason when 'breach' then 'no_data' else 'breach' end::analytics.alert_reason
        where id = ${id}`;
      return subscription.results.length > 0;
    });
    const [{ data, errors }] = subscription.results as [{ data: Record<string, unknown>; errors?: unknown }];
    expect(errors).toBeUndefined();
    for (const value of Object.values(data)) expect([value].flat()).not.toEqual([]);
    await subscription.stop();
  },
);

test("what the old API offered is on the page, row by row", () => {
  for (const name of [
    "/healthz",
    "/readyz",
    "metrics(",
    "serviceHealth",
    "performanceTrend",
    "alerts(",
    "activeAlerts",
    "topErrorServices",
    "slowestServices",
    "highRiskEvents",
    "sla(",
    "alertStats",
    "stats",
    "/metrics",
    "adhocQuery(",
  ])
    expect(page).toContain(name);
});
