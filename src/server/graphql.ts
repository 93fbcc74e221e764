// The way to /graphql: who asks, then a turn. Everything behind it can rely on identityOf(request).

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Config } from "../config.ts";
import { type Identity, identify, remember, type Unauthorized } from "./identity.ts";
import { json } from "./respond.ts";
import { addressOf, turns } from "./turns.ts";

/** Answers 401 to a wrong token, 429 to too many requests, or runs `next` once it is the turn of this client. */
export function gate(config: Config): (request: IncomingMessage, response: ServerResponse, next: () => void) => void {
  const identity = identify(config);
  const turn = turns(config.requestsPerClient);
  return (request, response, next) => {
    identity(request.headers.authorization).then(
      (who) => {
        remember(request, who);
        // A stream stays open for as long as its reader likes; it has bounds of its own.
        if (request.headers.accept?.includes("text/event-stream")) return next();
        turn(nameOf(who, request, config), response, next);
      },
      (error: Unauthorized) => {
        if (error.status === 401) response.setHeader("WWW-Authenticate", 'Bearer error="invalid_token"');
        const code = error.status === 401 ? "UNAUTHENTICATED" : "UNAVAILABLE";
        json(response, error.status, { errors: [{ message: error.message, extensions: { code } }] });
      },
    );
  };
}

function nameOf({ subject }: Identity, request: IncomingMessage, { trustProxy }: Config): string {
  return subject === undefined ? `address ${addressOf(request, trustProxy)}` : `subject ${subject}`;
}
