// The server as a process: what it says when something is missing, that it waits, and that it stops.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { freePort } from "../../local/ports.ts";
import { migrate } from "../../tools/migrate.ts";
import { type TestDatabase, testDatabase, testKafka, unique } from "../setup/services.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

type Server = { child: ChildProcess; url: string; lines: () => string[]; says: (text: string) => Promise<void> };
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
});

async function start(env: Record<string, string>): Promise<Server> {
  const port = env.PORT ?? String(await freePort());
  const child = spawn(process.execPath, ["src/server.ts"], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env.PATH, KAFKA_BROKERS: testKafka().brokers.join(), SELF_EVENTS: "off", PORT: port, ...env },
  });
  children.push(child);
  let text = "";
  child.stderr!.setEncoding("utf8").on("data", (chunk) => (text += chunk));
  return {
    child,
    url: `http://127.0.0.1:${port}`,
    lines: () => text.trim().split("\n"),
    async says(wanted) {
      for (const until = Date.now() + 20_000; !text.includes(wanted); await sleep(50))
        if (Date.now() > until || child.exitCode !== null) throw new Error(`not said: ${wanted}\n${text}`);
    },
  };
}

async function readiness(url: string) {
  const response = await fetch(`${url}/readyz?only=database,migrations`);
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it
  return { status: response.status, body: (await response.json()) as any };
}

test("a busy port is one line with the remedy, and exit status 1", async () => {
  const other = net.createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as net.AddressInfo;
  try {
    const server = await start({ DATABASE_URL: db.url, PORT: String(port) });
    const [status] = await once(server.child, "exit");
    expect(status).toBe(1);
    expect(server.lines()).toEqual([
      expect.stringMatching(
        `server failed: port ${port} of 127.0.0.1 is in use: stop the program that has it, or set PORT to another one`,
      ),
    ]);
  } finally {
    other.close();
  }
});

test("without a database it says so once, waits, answers 503 with the reason, and is ready when the database is", async () => {
  const late = unique(`stacklens_test_${Date.now().toString(36)}_late`);
  const url = new URL(db.url);
  url.pathname = `/${late}`;
  const server = await start({ DATABASE_URL: url.href });
  await server.says("server waits for the database");
  expect(await readiness(server.url)).toMatchObject({
    status: 503,
    body: { checks: { database: { ok: false, detail: expect.stringContaining(`database "${late}" does not exist`) } } },
  });
  const graphql = () =>
    fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ query: "{ stats { services } }" }),
    });
  const refused = await graphql();
  expect(refused.status).toBe(503);
  expect(await refused.json()).toEqual({ errors: [{ message: "The database is not ready: see /readyz" }] });
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);

  await db.sql.unsafe(`create database "${late}"`);
  try {
    await server.says("the database has no TimescaleDB: run `npm run migrate`");
    await migrate(url.href, { current: true });
    await server.says("server ready");
    expect((await readiness(server.url)).status).toBe(200);
    expect(await (await graphql()).json()).toEqual({ data: { stats: { services: 0 } } });
    expect(server.lines().filter((line) => line.includes("does not exist"))).toHaveLength(1);
  } finally {
    server.child.kill();
    await once(server.child, "exit");
    await db.sql.unsafe(`drop database "${late}" with (force)`);
  }
});

test("/readyz is 503 until GraphQL answers", async () => {
  const server = await start({ DATABASE_URL: db.url });
  await server.says("server listens");
  const seen: string[] = [];
  for (;;) {
    const [graphql, ready] = await Promise.all([
      fetch(`${server.url}/graphql`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: '{"query": "{ __typename }"}',
      }),
      fetch(`${server.url}/readyz?only=graphql`).then(async (it) => ({
        status: it.status,
        // biome-ignore lint/suspicious/noExplicitAny: tests look into it
        body: (await it.json()) as any,
      })),
    ]);
    if (ready.status === 200) break;
    // GraphQL may be there a moment before readyz says so, never after.
    seen.push(ready.body.checks.graphql.detail);
    expect([200, 503]).toContain(graphql.status);
    await sleep(10);
  }
  expect(new Set(seen)).toEqual(new Set(["the GraphQL schema is not made yet"]));
  const answer = await fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: '{"query": "{ __typename }"}',
  });
  expect(answer.status).toBe(200);
});

test("listening to others without a way to tell who they are is worth a warning", async () => {
  const open = await start({ DATABASE_URL: db.url, HOST: "0.0.0.0" });
  await open.says("everybody who reaches the server is a viewer, and nobody is an operator");
  const closed = await start({
    DATABASE_URL: db.url,
    HOST: "0.0.0.0",
    JWT_SECRET: "a secret of 32 characters or more",
  });
  await closed.says("server ready");
  expect(closed.lines().join()).not.toContain("everybody");
});

test.each(["SIGTERM", "SIGINT"] as const)("%s stops it within 2 s with exit status 0", async (signal) => {
  const server = await start({ DATABASE_URL: db.url, SELF_EVENTS: "on", INGEST_TOPIC: unique("stop") });
  await server.says("server ready");
  await fetch(`${server.url}/readyz`); // so that it has all its connections, and this one kept alive
  await fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ query: "{ stats { services } }" }),
  });
  const began = performance.now();
  server.child.kill(signal);
  const [status] = await once(server.child, "exit");
  expect(performance.now() - began).toBeLessThan(2_000);
  expect(status).toBe(0);
});

test("a query that still runs does not keep it from stopping within 2 s", async () => {
  const server = await start({ DATABASE_URL: db.url });
  await server.says("server ready");
  const blocker = await db.sql.reserve();
  await blocker`begin`;
  await blocker`lock table analytics.alert_rules in access exclusive mode`;
  try {
    const answer = fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ query: "{ alertRules { nodes { id } } }" }),
    }).catch(() => "cut off");
    await sleep(300);
    const began = performance.now();
    server.child.kill();
    const [status] = await once(server.child, "exit");
    expect(performance.now() - began).toBeLessThan(2_500);
    expect(status).toBe(0);
    expect(await answer).toBe("cut off");
  } finally {
    await blocker`rollback`;
    blocker.release();
  }
});

test("a HOST that is no address of this machine is one line", async () => {
  const server = await start({ DATABASE_URL: db.url, HOST: "192.0.2.1" });
  const [status] = await once(server.child, "exit");
  expect(status).toBe(1);
  expect(server.lines()).toEqual([expect.stringContaining('HOST is "192.0.2.1", which is no address of this machine')]);
});
