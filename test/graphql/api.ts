// The real server on a database of its own, for the tests of the API and of the server.

import { freePort } from "../../local/ports.ts";
import type { Config } from "../../src/config.ts";
import { startServer } from "../../src/server.ts";
import { testKafka } from "../setup/services.ts";

export type Answer = {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: an answer has the shape of its query; tests look into it
  data?: any;
  errors?: { message: string; path?: (string | number)[]; extensions?: { code?: string } }[];
};

export type Api = {
  url: string;
  /** Sends a query or mutation to /graphql. */
  query: (query: string, variables?: Record<string, unknown>) => Promise<Answer>;
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
    ...more,
  };
}

export async function startApi(databaseUrl: string, more: Partial<Config> = {}): Promise<Api> {
  const config = await testConfig(databaseUrl, more);
  const stop = await startServer(config);
  const url = `http://127.0.0.1:${config.port}`;
  return { url, query: (query, variables) => post(url, { query, variables }), stop };
}

export async function post(url: string, body: unknown): Promise<Answer> {
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/graphql-response+json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, ...((await response.json()) as object) };
}
