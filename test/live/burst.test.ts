// Many changes in one commit, many subscribers: everybody gets each change that it asked for once, in the order of its alert.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { signToken } from "../../tools/token.ts";
import { type Api, SECRET, startApi } from "../graphql/api.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { onlyRule } from "./alerts.ts";
import { overEventStream, overWebSocket, type Subscription, until } from "./clients.ts";

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

const ALERTS = 400;
const STATES = ["pending", "active", "resolved"];

test("subscribers of one query and of queries and roles of their own", async () => {
  const token = await signToken(SECRET, { role: "operator", subject: "ada", seconds: 600 });
  const clients = [
    overWebSocket(api.url),
    overEventStream(api.url),
    overWebSocket(api.url, { headers: { Authorization: `Bearer ${token}` } }),
  ];
  const query = (alias: string) => `
    subscription ($service: String) {
      alertChanged(service: $service) { history { id service ${alias}: alertId status } alert { id } }
    }`;
  const all = Array.from({ length: 18 }, (_, n) => clients[n % 3]!.subscribe(query(n < 9 ? "alertId" : `alertId${n}`)));
  const one = clients.map((client) => client.subscribe(query("alertId"), { service: "service 7" }));
  await sleep(1_000);

  await db.sql.begin(async (sql) => {
    for (const state of STATES)
      await sql`
        insert into analytics.alert_history (alert_id, rule_id, rule_version, service, status, reason, as_of)
        select n, 'any_failure', 1, 'service ' || n, ${state}, 'breach', now()
        from generate_series(1, ${ALERTS}::int) as n`;
  });

  const total = ALERTS * STATES.length;
  await until("everybody has all", () => all.every(({ results }) => results.length >= total), 20_000);
  await until("and those of one service theirs", () => one.every(({ results }) => results.length >= STATES.length));
  await sleep(200); // for what may come twice
  const entries = ({ results }: Subscription) => results.map(({ data }) => data.alertChanged.history);
  for (const subscription of all) {
    const got = entries(subscription);
    expect(got).toHaveLength(total);
    expect(new Set(got.map(({ id }) => id)).size).toBe(total);
    const byService = Map.groupBy(got, ({ service }) => service);
    expect(byService.size).toBe(ALERTS);
    for (const changes of byService.values())
      expect(changes.map(({ status }) => status)).toEqual(["PENDING", "ACTIVE", "RESOLVED"]);
  }
  for (const subscription of one)
    expect(entries(subscription).map(({ service, status }) => `${service} ${status}`)).toEqual([
      "service 7 PENDING",
      "service 7 ACTIVE",
      "service 7 RESOLVED",
    ]);
  await Promise.all([...all, ...one].map((it) => it.stop()));
});
