// Subscriptions of a server: where they come from and over what they go.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Pool } from "pg";
import type { GrafservBase } from "postgraphile/grafserv";
import type { Config } from "../config.ts";
import { log } from "../log.ts";
import { identify } from "../server/identity.ts";
import { json } from "../server/respond.ts";
import { changes } from "./changes.ts";
import { eventStreams } from "./event-stream.ts";
import { health } from "./health.ts";
import { LIVE, operations } from "./operations.ts";
import { places } from "./places.ts";
import { topics } from "./topics.ts";
import { webSockets } from "./websocket.ts";

export type Live = ReturnType<typeof live>;
export type LiveFigures = ReturnType<Live["figures"]>;

export function live(config: Config, pool: Pool) {
  const sources = { changes: changes(config.databaseUrl), health: health(pool) };
  const room = places(LIVE.connections, LIVE.connectionsOfClient);
  return {
    /** How many connections and subscriptions there are. */
    figures: () => ({
      connections: room.taken(),
      subscriptions: { alertChanged: sources.changes.subscribers(), serviceHealth: sources.health.subscribers() },
    }),
    /** Who takes what comes in, once the schema is there. */
    doors(serv: GrafservBase) {
      const how = operations(serv, topics(sources.changes, sources.health));
      const sockets = webSockets(how, identify(config), config, room);
      const streams = eventStreams(how, config.trustProxy, room);
      return {
        upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => sockets.upgrade(request, socket, head),
        stream(request: IncomingMessage, response: ServerResponse) {
          streams.handle(request, response).catch((error) => {
            log.error("an event stream failed", { error });
            if (response.headersSent) response.destroy();
            else
              json(response, 500, { errors: [{ message: "Something went wrong", extensions: { code: "INTERNAL" } }] });
          });
        },
        async close() {
          streams.close();
          await sockets.close();
        },
      };
    },
    async stop() {
      sources.health.stop();
      await sources.changes.stop();
    },
  };
}
