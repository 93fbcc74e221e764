// The real server on a database of its own, for the tests of the API and of the server.

import { freePort } from "../../local/ports.ts";
import type { Config } from "../../src/config.ts";
import { startServer } from "../../src/server.ts";
import { signToken } from "../../tools/token.ts";
import { testKafka } from "../setup/services.ts";

/** Of every server of a test. */
export const SECRET = "a secret of 32 characters or more";

export type Answer = {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: an answer has the shape of its query; tests look into it
  data?: any;
  errors?: { message: string; path?: (string | number)[]; extensions?: { code?: string } }[];
};

export type Api = {
  url: string;
  /** Sends a query or mutation to /graphql, as an operator. */
  query: (query: string, variables?: Record<string, unknown>) => Promise<Answer>;
  /** The same as a viewer, which is without a token. */
  asViewer: (query: string, variables?: Record<string, unknown>) => Promise<Answer>;
  stop: () => Promise<void>;
};

/** A configuration as the environment would give it. */
export async function testConfig(databaseUrl: string, more: Partial<Config> = {}): Promise<Config> {
  return {
    databaseUrl,
    kafka: { brokers: testKafka().brokers, ssl: false },
    ingestTopic: "stacklens-analytics",
    alertTopic: "analytics-alerts",
    ingestGroup: "stacklens-ingest",
    host: "127.0.0.1",
    port: await freePort(),
    logLevel: "info",
    corsOrigins: [],
    selfEvents: false,
    jwtSecret: SECRET,
    production: false,
    ide: true,
    introspection: true,
    requestsPerClient: 8,
    trustProxy: false,
    ...more,
  };
}

export async function startApi(databaseUrl: string, more: Partial<Config> = {}): Promise<Api> {
  const config = await testConfig(databaseUrl, more);
  const stop = await startServer(config);
  const url = `http://127.0.0.1:${config.port}`;
  const token = await signToken(SECRET, { role: "operator", subject: "tester", seconds: 3600 });
  return {
    url,
    query: (query, variables) => post(url, { query, variables }, token),
    asViewer: (query, variables) => post(url, { query, variables }),
    stop,
  };
}

export async function post(url: string, body: unknown, token?: string): Promise<Answer> {
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: "application/graphql-response+json",
      ...(token && { Authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
  });
  return { status: response.status, ...((await response.json()) as object) };
}
