// What happens to a request: its id, route and outcome, counted for /metrics and handed to who wants to know.

import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";

export type Finished = {
  id: string;
  /** /graphql, /, /healthz …; * for everything that does not exist. */
  route: string;
  /** Name of the GraphQL operation, where it has one. */
  operation: string | undefined;
  status: number;
  /** A failure of ours, also where GraphQL answers it with 200. */
  failed: boolean;
  latencyMs: number;
  address: string | undefined;
};

/** How often each route answered with each status, and how long that took, in seconds. */
export const requests = new Map<string, { route: string; status: number; count: number; seconds: number }>();

/** What the GraphQL layer found out about a request. */
type Notes = {
  operation?: string;
  failed?: boolean /** A stream began, at this performance.now(). */;
  answeredAt?: number;
};
const notes = new WeakMap<IncomingMessage, Notes>();

const ROUTES = new Set(["/", "/graphql", "/healthz", "/readyz", "/metrics"]);
const CLIENT_LEFT = 499; // as nginx logs it: the client closed the connection before there was an answer

export function note(request: IncomingMessage, what: Notes): void {
  notes.set(request, { ...notes.get(request), ...what });
}

/** Gives a request its id (X-Request-Id, the client's where it sent one) and calls back when it is over. */
export function observe(request: IncomingMessage, response: ServerResponse, finished: (it: Finished) => void): void {
  const began = performance.now();
  const given = request.headers["x-request-id"];
  const id = typeof given === "string" && /^[\x21-\x7e]{1,255}$/.test(given) ? given : randomUUID();
  const address = request.socket.remoteAddress?.replace(/^::ffff:/, "");
  response.setHeader("X-Request-Id", id);

  response.once("close", () => {
    const route = routeOf(request);
    const { operation, failed = false, answeredAt } = notes.get(request) ?? {};
    const status = response.writableFinished || answeredAt ? response.statusCode : CLIENT_LEFT;
    const latencyMs = (answeredAt ?? performance.now()) - began; // how long a stream stays open is no latency

    const key = `${route} ${status}`;
    const counted = requests.get(key) ?? { route, status, count: 0, seconds: 0 };
    counted.count++;
    counted.seconds += latencyMs / 1000;
    requests.set(key, counted);
    finished({ id, route, operation, status, failed: failed || status >= 500, latencyMs, address });
  });
}

/** The path without its query; the files of the IDE are one route, as is everything that nobody serves. */
function routeOf({ url = "/" }: IncomingMessage): string {
  const path = url.split("?", 1)[0]!;
  return ROUTES.has(path) ? path : path.startsWith("/ruru-static/") ? "/ruru-static" : "*";
}
