// Real clients of subscriptions, of the packages that dashboards use.

import { createClient as createSseClient } from "graphql-sse";
import { createClient as createWsClient } from "graphql-ws";
import { WebSocket } from "ws";

// biome-ignore lint/suspicious/noExplicitAny: a result has the shape of its subscription; tests look into it
export type Result = { data?: any; errors?: readonly { message: string; extensions?: { code?: string } }[] };
export type Subscription = {
  results: Result[];
  /** Why it ended, if it did: undefined while it goes on, "complete", or what the client says. */
  ended: () => unknown;
  stop: () => Promise<void>;
};
export type Client = { subscribe: (query: string, variables?: Record<string, unknown>) => Subscription };
type Options = { retries?: number; headers?: Record<string, string>; connectionParams?: Record<string, unknown> };

type Sink = { next: (result: unknown) => void; error: (error: unknown) => void; complete: () => void };

function collect(subscribe: (sink: Sink) => () => void, dispose: () => unknown): Subscription {
  const results: Result[] = [];
  let end: unknown;
  const unsubscribe = subscribe({
    next: (result) => void results.push(result as Result),
    error: (error) => (end ??= error),
    complete: () => (end ??= "complete"),
  });
  return {
    results,
    ended: () => end,
    async stop() {
      unsubscribe();
      await dispose();
    },
  };
}

/** graphql-ws; each subscription has a connection of its own. */
export function overWebSocket(url: string, { retries = 0, headers = {}, connectionParams = {} }: Options = {}): Client {
  return {
    subscribe(query, variables) {
      const client = createWsClient({
        url: `${url.replace("http", "ws")}/graphql`,
        webSocketImpl: class extends WebSocket {
          constructor(address: string, protocols: string[]) {
            super(address, protocols, { headers });
          }
        },
        connectionParams,
        retryAttempts: retries,
        shouldRetry: () => true, // also when nobody listens
        retryWait: () => new Promise((resolve) => setTimeout(resolve, 100)),
      });
      return collect((sink) => client.subscribe({ query, variables: variables ?? null }, sink), client.dispose);
    },
  };
}

/** graphql-sse. */
export function overEventStream(url: string, { retries = 0, headers = {} }: Options = {}): Client {
  return {
    subscribe(query, variables) {
      const client = createSseClient({ url: `${url}/graphql`, headers, retryAttempts: retries });
      return collect((sink) => client.subscribe({ query, ...(variables && { variables }) }, sink), client.dispose);
    },
  };
}

/** Waits until it is true, 5 s at most. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, limitMs = 5_000): Promise<void> {
  for (const end = Date.now() + limitMs; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`${what}: not within ${limitMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
