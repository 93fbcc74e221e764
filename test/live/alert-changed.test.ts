import type { TransactionSql } from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Api, startApi } from "../graphql/api.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { fail, onlyRule } from "./alerts.ts";
import { overEventStream, overWebSocket, until } from "./clients.ts";

let db: TestDatabase;
let api: Api;

beforeAll(async () => {
  db = await testDatabase();
  await onlyRule(db.sql);
  api = await startApi(db.url);
});
afterAll(async () => {
  await api.stop();
  await db.drop();
});

const CHANGES = `
  subscription ($service: String, $severity: AlertSeverity, $ruleId: String) {
    alertChanged(service: $service, severity: $severity, ruleId: $ruleId) {
      history { previousStatus status reason value }
      alert { id service ruleId severity status comment lookback { minutes seconds } labels }
    }
  }`;
const listening = () =>
  new Promise((resolve) => {
    setTimeout(resolve, 500);
  });

describe.each([
  ["WebSocket", overWebSocket],
  ["server-sent events", overEventStream],
])("over %s", (name, over) => {
  test("an alert that fires and is acknowledged, with its history", async () => {
    const service = `fires ${name}`;
    const subscription = over(api.url).subscribe(CHANGES, { service });
    await listening();

    await fail(db.sql, service);
    await until("the change", () => subscription.results.length === 1);
    const [{ data }] = subscription.results as [{ data: { alertChanged: { alert: { id: string } } } }];
    expect(data.alertChanged).toEqual({
      history: { previousStatus: null, status: "ACTIVE", reason: "BREACH", value: 1 },
      alert: {
        id: expect.any(String),
        service,
        ruleId: "any_failure",
        severity: "CRITICAL",
        status: "ACTIVE",
        comment: null,
        lookback: { minutes: 1, seconds: 0 },
        labels: {},
      },
    });

    await db.sql`select analytics.acknowledge_alert(alert_id => ${data.alertChanged.alert.id}, comment => 'on it')`;
    await until("the second change", () => subscription.results.length === 2);
    expect(subscription.results[1]).toMatchObject({
      data: {
        alertChanged: {
          history: { previousStatus: "ACTIVE", status: "ACKNOWLEDGED" },
          alert: { status: "ACKNOWLEDGED", comment: "on it" },
        },
      },
    });
    expect(subscription.ended()).toBeUndefined();
    await subscription.stop();
  });

  test("only what the arguments ask for", async () => {
    const one = `one ${name}`;
    const ask = (variables: Record<string, string>) => over(api.url).subscribe(CHANGES, variables);
    const all = ask({});
    const right = [ask({ service: one }), ask({ severity: "CRITICAL", service: one }), ask({ ruleId: "any_failure" })];
    const wrong = [ask({ severity: "WARNING" }), ask({ ruleId: "high_error_rate" }), ask({ service: "none" })];
    await listening();

    await fail(db.sql, one);
    await fail(db.sql, `other ${name}`);
    await until("both", () => all.results.length === 2);
    await until("the right ones", () => right.map(({ results }) => results.length).join() === "1,1,2");
    expect(wrong.map(({ results }) => results.length)).toEqual([0, 0, 0]);
    await Promise.all([all, ...right, ...wrong].map((it) => it.stop()));
  });

  test("nothing of a transaction that is rolled back, and all of one with many changes, in their order", async () => {
    const subscription = over(api.url).subscribe("subscription { alertChanged { history { id service } } }");
    await listening();
    const insert = (sql: TransactionSql, service: string, count: number) => sql`
      insert into analytics.alert_history (alert_id, rule_id, rule_version, service, status, reason, as_of)
      select n, 'any_failure', 1, ${service}, 'pending', 'breach', now() from generate_series(1, ${count}::int) as n`;
    await db.sql
      .begin(async (sql) => {
        await insert(sql, "undone", 3);
        throw new Error("undo");
      })
      .catch(() => {});
    await db.sql.begin((sql) => insert(sql, "many", 1000));

    await until("all", () => subscription.results.length >= 1000, 20_000);
    const entries = subscription.results.map(({ data }) => data.alertChanged.history);
    expect(new Set(entries.map(({ service }) => service))).toEqual(new Set(["many"]));
    const ids = entries.map(({ id }) => Number(id));
    expect(ids).toEqual(ids.toSorted((a, b) => a - b));
    expect(new Set(ids).size).toBe(1000);
    await subscription.stop();
  });
});

test("a pending alert that is over without having fired has a history and no alert", async () => {
  await db.sql`update analytics.alert_rules set pending_period = '1 hour' where id = 'any_failure'`;
  const subscription = overWebSocket(api.url).subscribe(CHANGES, { service: "short", severity: "CRITICAL" });
  await listening();
  await fail(db.sql, "short");
  await until("pending", () => subscription.results.length === 1);
  await db.sql`update analytics.alert_rules set pending_period = '0' where id = 'any_failure'`;
  await until("over", () => subscription.results.length === 2);
  expect(subscription.results.map(({ data }) => data.alertChanged)).toMatchObject([
    { history: { status: "PENDING" }, alert: { status: "PENDING" } },
    { history: { previousStatus: "PENDING", status: "RESOLVED", reason: "RULE_CHANGED" }, alert: null },
  ]);
  await subscription.stop();
});
