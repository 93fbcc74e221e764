// Browsers of other origins: only those in CORS_ORIGINS, all with *. A mutation needs a preflight, since only JSON is read.

import type { IncomingMessage, ServerResponse } from "node:http";

const PREFLIGHT_CACHE_S = 600;

/** Sets the headers for an allowed origin and answers preflights; true when the request is answered. */
export function cors(origins: string[], request: IncomingMessage, response: ServerResponse): boolean {
  const { origin } = request.headers;
  if (origin && isListed(origins, origin)) {
    response.setHeader("Access-Control-Allow-Origin", origin);
    response.setHeader("Vary", "Origin");
    response.setHeader("Access-Control-Expose-Headers", "X-Request-Id");
    response.setHeader("Access-Control-Allow-Headers", "Content-Type, Authorization, X-Request-Id");
    response.setHeader("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    response.setHeader("Access-Control-Max-Age", PREFLIGHT_CACHE_S);
  }
  if (request.method !== "OPTIONS") return false;
  response.writeHead(204).end();
  return true;
}

/**
 * Whether a WebSocket may be opened; browsers open one from any page without asking first. From no browser (no origin), from our own
 * pages, and from those in CORS_ORIGINS.
 */
export function mayConnect(origins: string[], { headers: { origin, host } }: IncomingMessage): boolean {
  if (origin === undefined || isListed(origins, origin)) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}

function isListed(origins: string[], origin: string): boolean {
  return origins.includes(origin) || origins.includes("*");
}
