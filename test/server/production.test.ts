// What NODE_ENV=production is for: no answer shows what is inside.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../local/ports.ts";
import { readConfig } from "../../src/config.ts";
import { type Api, startApi } from "../graphql/api.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";

let db: TestDatabase;
let api: Api;
let broker: string;

const env = { DATABASE_URL: "postgres://x@127.0.0.1/x", KAFKA_BROKERS: "127.0.0.1:1" };
const switches = (more: Record<string, string>) => {
  const { production, ide, introspection } = readConfig({ ...env, ...more });
  return { production, ide, introspection };
};

beforeAll(async () => {
  db = await testDatabase();
  broker = `127.0.0.1:${await freePort()}`;
  api = await startApi(db.url, { ...switches({ NODE_ENV: "production" }), kafka: { brokers: [broker], ssl: false } });
});
afterAll(async () => {
  await api.stop();
  await db.drop();
});

test("IDE and introspection are on in development, off in production, and switched by a variable of their own", () => {
  expect(switches({})).toEqual({ production: false, ide: true, introspection: true });
  expect(switches({ NODE_ENV: "production" })).toEqual({ production: true, ide: false, introspection: false });
  expect(switches({ NODE_ENV: "production", GRAPHQL_IDE: "on", GRAPHQL_INTROSPECTION: "on" })).toEqual({
    production: true,
    ide: true,
    introspection: true,
  });
  expect(switches({ GRAPHQL_IDE: "off" })).toMatchObject({ ide: false, introspection: true });
});

test("there is no IDE", async () => {
  for (const path of ["/", "/ruru-static/ruru.js", "/ruru-static/"])
    expect((await fetch(`${api.url}${path}`)).status, path).toBe(404);
});

describe("the schema", () => {
  test.each([
    "{ __schema { types { name } } }",
    '{ __type(name: "Query") { name } }',
    "query A { services { totalCount } } fragment F on Query { x: __schema { description } }",
    '{ ... on Query { a: __type(name: "Alert") { fields { name } } } }',
  ])("is not told by %s", async (query) => {
    const { status, data, errors } = await api.query(query);
    expect([status, data]).toEqual([400, undefined]);
    expect(errors![0]!.message).toContain("introspection has been disabled");
  });

  test("is not guessed at", async () => {
    const { status, errors } = await api.query("{ service { nodes { servic } } alertz { nodes { id } } }");
    expect(status).toBe(400);
    expect(errors!.length).toBeGreaterThan(0);
    expect(JSON.stringify(errors)).not.toMatch(/Did you mean|alerts|services/);
  });

  test("is not guessed at by errors in variables", async () => {
    const { errors } = await api.query("query A($r: Resolution!) { metrics(resolution: $r) { totalCount } }", {
      r: "ONE_MINUTES",
    });
    expect(errors![0]!.message).toContain('Value "ONE_MINUTES" does not exist');
    expect(JSON.stringify(errors)).not.toMatch(/Did you mean|ONE_MINUTE\b/);
  });

  test("is not needed for __typename, or for a text that looks like a question for it", async () => {
    const { data } = await api.query(
      '{ __typename slowestServices(condition: { service: "__schema" }) { totalCount } }',
    );
    expect(data).toEqual({ __typename: "Query", slowestServices: { totalCount: 0 } });
  });
});

test("what is forbidden is said without the names of tables", async () => {
  const { errors } = await api.asViewer("{ events { nodes { userId } } }");
  expect(errors![0]!.message).toBe("This is for operators: send a token with the role operator");
});

test("a value that Postgres refuses is not quoted, and what our functions say is", async () => {
  const bad = await api.query(
    '{ services { nodes { metrics1min(condition: { since: "yesterdayish" }) { totalCount } } } metrics1min(condition: { since: "yesterdayish" }) { totalCount } }',
  );
  expect(bad.errors!.at(-1)).toMatchObject({
    message: "A value is not what its type takes (SQLSTATE 22007)",
    extensions: { code: "BAD_REQUEST" },
  });
  const ours = await api.query("{ sla(objective: 150) { nodes { service } } }");
  expect(ours.errors![0]!.message).toContain("the objective is 150");
});

test("/readyz says which check fails; why is in the log", async () => {
  const response = await fetch(`${api.url}/readyz?only=kafka,graphql`);
  expect(response.status).toBe(503);
  const text = await response.text();
  expect(JSON.parse(text)).toEqual({ status: "not ready", checks: { kafka: { ok: false }, graphql: { ok: true } } });
  expect(text).not.toContain(broker);
});

test("no answer names the software and its version", async () => {
  for (const path of ["/", "/graphql", "/healthz", "/metrics"]) {
    const { headers } = await fetch(`${api.url}${path}`);
    expect([headers.get("server"), headers.get("x-powered-by")], path).toEqual([null, null]);
  }
});
