// Against DNS rebinding: a web page can give its own name the address 127.0.0.1, and its script then reads from what listens there as
// from the page's own server. Only the Host header tells such a request from one that is meant for us, and a browser sets it itself.

import type { IncomingMessage } from "node:http";
import type { Config } from "../config.ts";

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1|\[::1\])$/;
const OWN_NAME = /^(.+\.)?localhost$|^127\.\d+\.\d+\.\d+$|^\[::1\]$/; // browsers ask no DNS for *.localhost

/** Whether an address can be reached from this machine alone. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/**
 * The function that says why a request is refused, in one line; undefined: it is meant for us. On a loopback address these are the
 * names of this machine and those in CORS_ORIGINS. Elsewhere, behind a proxy (TRUST_PROXY) and where all pages may read
 * (CORS_ORIGINS=*) any name is right.
 */
export function hostCheck({
  host,
  corsOrigins,
  trustProxy,
}: Pick<Config, "host" | "corsOrigins" | "trustProxy">): (
  request: Pick<IncomingMessage, "headers">,
) => string | undefined {
  if (!isLoopback(host) || trustProxy || corsOrigins.includes("*")) return () => undefined;
  const listed = new Set(corsOrigins.map((origin) => hostname(origin)));
  return ({ headers }) => {
    if (headers.host === undefined) return undefined; // no browser
    const name = hostname(`http://${headers.host}`);
    if (name !== undefined && (OWN_NAME.test(name) || listed.has(name))) return undefined;
    const what = name === undefined ? "what the Host header says" : `the name ${name}`;
    return `this server listens on ${host} and does not answer to ${what}: use localhost, or list http://${name ?? "<name>"} in CORS_ORIGINS`;
  };
}

function hostname(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}
