// The connection to the database breaks under open subscriptions: they stay open and get what happened meanwhile.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Api, startApi } from "../graphql/api.ts";
import { proxy, type TcpProxy, through } from "../server/proxy.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { fail, onlyRule } from "./alerts.ts";
import { overEventStream, overWebSocket, until } from "./clients.ts";

let db: TestDatabase;
let link: TcpProxy;
let api: Api;

beforeAll(async () => {
  db = await testDatabase();
  await onlyRule(db.sql);
  const { hostname, port } = new URL(db.url);
  link = await proxy(hostname, Number(port || 5432));
  api = await startApi(through(db.url, link));
});
afterAll(async () => {
  await api.stop();
  await link.down();
  await db.drop();
});

const CHANGES = "subscription { alertChanged { history { id service } alert { status } } }";

test("changes during an outage come when it is over, each once; health goes on", async () => {
  const subscriptions = [overWebSocket(api.url).subscribe(CHANGES), overEventStream(api.url).subscribe(CHANGES)];
  const health = overWebSocket(api.url).subscribe("subscription { serviceHealth { service } }");
  const services = (it: (typeof subscriptions)[number]) =>
    it.results.map(({ data }) => data?.alertChanged.history.service);
  await until("the first health", () => health.results.length > 0);
  await sleep(500);
  await fail(db.sql, "before");
  await until("the change before", () => subscriptions.every(({ results }) => results.length === 1));

  for (let outage = 1; outage <= 2; outage++) {
    await link.down();
    await fail(db.sql, `outage ${outage}`);
    await sleep(1_200); // longer than one attempt to connect
    await link.up();
    await until(
      `the change during outage ${outage}`,
      () => subscriptions.every((it) => services(it).includes(`outage ${outage}`)),
      15_000,
    );
  }
  const before = health.results.length;
  await fail(db.sql, "after");
  await until("the change after", () => subscriptions.every((it) => services(it).includes("after")));
  for (const it of subscriptions) {
    expect(services(it)).toEqual(["before", "outage 1", "outage 2", "after"]);
    expect(it.results.every(({ errors }) => errors === undefined)).toBe(true);
    expect(it.ended()).toBeUndefined();
  }
  await until("health goes on", () => health.results.length > before);
  expect(health.ended()).toBeUndefined();
  await Promise.all([...subscriptions, health].map((it) => it.stop()));
});

test("changes that are heard of and cannot be read come when they can, with the last state", async () => {
  const subscriptions = [overWebSocket(api.url).subscribe(CHANGES), overEventStream(api.url).subscribe(CHANGES)];
  await sleep(500);
  link.refuse("stacklens server\0"); // who reads; "stacklens server live" hears
  await fail(db.sql, "unread");
  await sleep(1_200); // longer than one attempt to read
  const [alert] = await db.sql`select id from analytics.alerts where service = 'unread'`;
  await db.sql`select analytics.acknowledge_alert(alert_id => ${alert!.id}, comment => 'on it')`;
  expect(subscriptions.map(({ results }) => results)).toEqual([[], []]);

  link.refuse(undefined);
  await until("both changes", () => subscriptions.every(({ results }) => results.length === 2), 15_000);
  for (const it of subscriptions) {
    expect(it.results.every(({ errors }) => errors === undefined)).toBe(true);
    const ids = it.results.map(({ data }) => Number(data.alertChanged.history.id));
    expect(ids[0]).toBeLessThan(ids[1]!);
    expect(it.results[1]!.data.alertChanged.alert).toEqual({ status: "ACKNOWLEDGED" });
    expect(it.ended()).toBeUndefined();
  }
  await Promise.all(subscriptions.map((it) => it.stop()));
});

test("more changes than are kept count as missed: the subscription ends and says so", async () => {
  const subscription = overWebSocket(api.url).subscribe(CHANGES);
  await sleep(500);
  await link.down();
  await db.sql`
    insert into analytics.alert_history (alert_id, rule_id, rule_version, service, status, reason, as_of)
    select n, 'any_failure', 1, 'flood', 'pending', 'breach', now() from generate_series(1, 5000) as n`;
  await link.up();
  await until("the end", () => subscription.ended() !== undefined, 15_000);
  expect(subscription.results).toEqual([]);
  expect(subscription.ended()).toMatchObject([{ extensions: { code: "MISSED_CHANGES" } }]);
});
