import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { hostCheck } from "../../src/server/hosts.ts";
import { type Api, startApi } from "../graphql/api.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";

const OWN = ["localhost", "localhost:8005", "127.0.0.1:8005", "127.0.0.53", "[::1]:8005", "stacklens.localhost:80"];
const FOREIGN = [
  "evil.example",
  "evil.example:8005",
  "127.0.0.1.evil.example",
  "localhost.evil.example",
  "10.0.0.1",
  "a b",
];

describe("on a loopback address", () => {
  const check = (host: string | undefined, corsOrigins: string[] = []) =>
    hostCheck({ host: "127.0.0.1", corsOrigins, trustProxy: false })({ headers: host === undefined ? {} : { host } });

  test.each(OWN)("%s is us", (host) => expect(check(host)).toBeUndefined());
  test.each(FOREIGN)("%s is not", (host) => expect(check(host)).toMatch(/^this server listens on 127\.0\.0\.1/));

  test("the names in CORS_ORIGINS are us, at any port", () => {
    const origins = ["https://dashboards.example", "http://other.example:3000"];
    expect(check("dashboards.example", origins)).toBeUndefined();
    expect(check("other.example:8005", origins)).toBeUndefined();
    expect(check("evil.example", origins)).toContain("list http://evil.example in CORS_ORIGINS");
    expect(check("evil.example", ["*"])).toBeUndefined();
  });

  test("who sends no Host is no browser", () => expect(check(undefined)).toBeUndefined());
});

test("elsewhere and behind a proxy any name is us", () => {
  const headers = { host: "stacklens.example" };
  for (const host of ["0.0.0.0", "::", "10.1.2.3", "server.example"])
    expect(hostCheck({ host, corsOrigins: [], trustProxy: false })({ headers })).toBeUndefined();
  expect(hostCheck({ host: "127.0.0.1", corsOrigins: [], trustProxy: true })({ headers })).toBeUndefined();
});

describe("the server", () => {
  let db: TestDatabase;
  let api: Api;
  beforeAll(async () => {
    db = await testDatabase();
    api = await startApi(db.url);
  });
  afterAll(async () => {
    await api.stop();
    await db.drop();
  });

  const ask = async (path: string, options: object = {}) => {
    const sent = request(`${api.url}${path}`, { headers: { host: "evil.example" }, ...options }).end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    return { status: response.statusCode, text: (await response.toArray()).join(""), headers: response.headers };
  };

  test.each(["/", "/graphql", "/metrics", "/readyz", "/healthz"])("refuses %s by a foreign name", async (path) => {
    const { status, text } = await ask(path);
    expect(status).toBe(403);
    expect(text).toMatch(/^this server listens on 127\.0\.0\.1 .* the name evil\.example: .*\n$/);
  });

  test("and preflights and WebSockets", async () => {
    expect((await ask("/graphql", { method: "OPTIONS" })).status).toBe(403);
    const socket = new WebSocket(`${api.url.replace("http", "ws")}/graphql`, "graphql-transport-ws", {
      headers: { host: "evil.example" },
      origin: "http://evil.example",
    });
    const [error] = await once(socket, "error");
    expect(String(error)).toContain("403");
  });

  test("answers by its own", async () => {
    expect((await ask("/healthz", { headers: { host: "localhost:8005" } })).status).toBe(200);
  });
});
