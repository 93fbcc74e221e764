// The way to /graphql: who asks, then a turn. Everything behind it can rely on identityOf(request).

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Config } from "../config.ts";
import { type Identity, identify, remember, type Unauthorized } from "./identity.ts";
import { json } from "./respond.ts";
import { addressOf, turns } from "./turns.ts";

type Door = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

/**
 * Two doors: `identified` answers 401 to a wrong token, else runs `next`; `admitted` does the same, then waits until it is the turn
 * of this client, or answers 429. The first one is for streams, which stay open for as long as their reader likes and need bounds
 * of their own.
 */
export function gate(config: Config): { identified: Door; admitted: Door } {
  const identity = identify(config);
  const turn = turns(config.requestsPerClient);

  const identified = (request: IncomingMessage, response: ServerResponse, next: (who: Identity) => void): void => {
    identity(request.headers.authorization).then(
      (who) => {
        remember(request, who);
        next(who);
      },
      (error: Unauthorized) => {
        if (error.status === 401) response.setHeader("WWW-Authenticate", 'Bearer error="invalid_token"');
        const code = error.status === 401 ? "UNAUTHENTICATED" : "UNAVAILABLE";
        json(response, error.status, { errors: [{ message: error.message, extensions: { code } }] });
      },
    );
  };
  return {
    identified,
    admitted: (request, response, next) =>
      identified(request, response, ({ subject }) => {
        const client =
          subject === undefined ? `address ${addressOf(request, config.trustProxy)}` : `subject ${subject}`;
        turn(client, response, next);
      }),
  };
}
