import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { freePort } from "../../local/ports.ts";
import { startApi } from "../graphql/api.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { fail, onlyRule } from "./alerts.ts";
import { overEventStream, overWebSocket, until } from "./clients.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
  await onlyRule(db.sql);
});
afterAll(() => db.drop());

const LIMIT_MS = 2_000;

test("with open subscriptions the server stops within 2 s, and clients subscribe at the next one by themselves", async () => {
  const port = await freePort();
  const first = await startApi(db.url, { port });
  const query = "subscription { alertChanged { history { service } } }";
  const clients = [
    ...Array.from({ length: 10 }, () => overWebSocket(first.url, { retries: 50 }).subscribe(query)),
    ...Array.from({ length: 10 }, () => overEventStream(first.url, { retries: 50 }).subscribe(query)),
  ];
  const health = overWebSocket(first.url, { retries: 50 }).subscribe("subscription { serviceHealth { service } }");
  const deaf = new WebSocket(`${first.url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  await once(deaf, "open");
  deaf.pause(); // never answers that it closes
  let n = 0;
  const everyoneHas = async () => {
    const service = `${port} ${++n}`;
    await fail(db.sql, service);
    await new Promise((resolve) => setTimeout(resolve, 200));
    return clients.every(({ results }) => results.at(-1)?.data.alertChanged.history.service === service);
  };
  await until("all listen", everyoneHas, 10_000);

  const began = performance.now();
  await first.stop();
  expect(performance.now() - began).toBeLessThan(LIMIT_MS);

  const second = await startApi(db.url, { port });
  const before = health.results.length;
  await until("all listen again", everyoneHas, 20_000);
  await until("health goes on", () => health.results.length > before);
  expect(clients.map((it) => it.ended()).filter((end) => end !== undefined)).toEqual([]);
  deaf.terminate();
  await Promise.all([...clients, health].map((it) => it.stop()));
  await second.stop();
});
