// How many requests of one client run at the same time. The next ones wait for their turn, so that a dashboard of 30 panels just
// works and still leaves connections for others; a client that has too many waiting is refused.

import type { IncomingMessage, ServerResponse } from "node:http";
import { json } from "./respond.ts";

export const WAITING = 100; // requests of one client
const RETRY_AFTER_S = 1;

type Addressed = Pick<IncomingMessage, "headers"> & { socket: { remoteAddress?: string | undefined } };
type Client = { running: number; waiting: { response: ServerResponse; run: () => void }[] };

/** The function that runs something now, later, or answers 429 instead. A turn lasts until its response is closed. */
export function turns(atATime: number): (client: string, response: ServerResponse, run: () => void) => void {
  const clients = new Map<string, Client>();

  const next = (name: string, client: Client) => {
    while (client.running < atATime) {
      const turn = client.waiting.shift();
      if (!turn) break;
      take(name, client, turn.response, turn.run);
    }
    if (client.running === 0) clients.delete(name);
  };

  const take = (name: string, client: Client, response: ServerResponse, run: () => void) => {
    client.running++;
    response.once("close", () => {
      client.running--;
      next(name, client);
    });
    run();
  };

  return (name, response, run) => {
    if (response.destroyed) return; // it left while its token was verified
    const client = clients.get(name) ?? { running: 0, waiting: [] };
    clients.set(name, client);
    if (client.running < atATime) return take(name, client, response, run);
    if (client.waiting.length >= WAITING) {
      response.setHeader("Retry-After", RETRY_AFTER_S);
      return json(response, 429, {
        errors: [
          {
            message: `Too many requests at a time: ${atATime} run and ${WAITING} wait already; send fewer, or ask in one query`,
            extensions: { code: "TOO_MANY_REQUESTS" },
          },
        ],
      });
    }
    const turn = { response, run };
    client.waiting.push(turn);
    response.once("close", () => {
      const place = client.waiting.indexOf(turn);
      if (place !== -1) client.waiting.splice(place, 1); // it left
    });
  };
}

/**
 * Whose request it is, where no token says so: its address. Behind a proxy that is trusted, the one that this proxy saw; what
 * stands before it in X-Forwarded-For anybody can write there.
 */
export function addressOf({ headers, socket }: Addressed, trustProxy: boolean): string {
  const forwarded = trustProxy && [headers["x-forwarded-for"] ?? ""].flat().join(",").split(",").at(-1)?.trim();
  return forwarded || socket.remoteAddress || "";
}
