import net from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Api, startApi } from "../graphql/api.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";

let db: TestDatabase;
let api: Api;

beforeAll(async () => {
  db = await testDatabase();
  api = await startApi(db.url, { corsOrigins: ["https://dashboard.example"] });
});
afterAll(async () => {
  await api.stop();
  await db.drop();
});

const preflight = (origin: string) =>
  fetch(`${api.url}/graphql`, {
    method: "OPTIONS",
    headers: { Origin: origin, "Access-Control-Request-Method": "POST" },
  });

test("a page of an allowed origin may ask", async () => {
  const { status, headers } = await preflight("https://dashboard.example");
  expect(status).toBe(204);
  expect(headers.get("access-control-allow-origin")).toBe("https://dashboard.example");
  expect(headers.get("access-control-allow-headers")).toContain("Content-Type");

  const answer = await fetch(`${api.url}/graphql`, {
    method: "POST",
    headers: { Origin: "https://dashboard.example", "Content-Type": "application/json" },
    body: JSON.stringify({ query: "{ stats { services } }" }),
  });
  expect(answer.headers.get("access-control-allow-origin")).toBe("https://dashboard.example");
  expect(answer.headers.get("vary")).toContain("Origin");
});

test("a page of another origin may not", async () => {
  const { headers } = await preflight("https://elsewhere.example");
  expect(headers.get("access-control-allow-origin")).toBeNull();
});

test("the IDE is served, with its files from this server", async () => {
  const html = await (await fetch(`${api.url}/`)).text();
  expect(html).toContain("<html");
  const files = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!);
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) {
    expect(file).toMatch(/^(\/ruru-static\/|data:)/);
    if (file.startsWith("/")) expect((await fetch(`${api.url}${file}`)).status, file).toBe(200);
  }
});

test("what does not exist is 404", async () => {
  expect((await fetch(`${api.url}/nothing`)).status).toBe(404);
});

test.each([
  "GET //",
  "GET /%",
  "GET *",
  "POST /readyz",
  "DELETE /graphql",
  "OPTIONS /",
  "HEAD /healthz",
  "GET /\\..\\x",
  "GET http://[",
])("an odd request gets an answer: %s", async (line) => {
  const socket = net.connect({ host: "127.0.0.1", port: Number(new URL(api.url).port) });
  socket.end(`${line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  expect(String((await socket.toArray())[0])).toMatch(/^HTTP\/1\.1 (200|204|400|404|405|415) /);
  expect((await fetch(`${api.url}/healthz`)).status).toBe(200);
});
