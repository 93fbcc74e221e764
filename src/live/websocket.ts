// Subscriptions over WebSocket, by the protocol graphql-transport-ws of the package graphql-ws.

import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { CloseCode, handleProtocols, makeServer } from "graphql-ws";
import { normalizeConnectionParams } from "postgraphile/grafserv";
import { type WebSocket, WebSocketServer } from "ws";
import type { Config } from "../config.ts";
import { log } from "../log.ts";
import { mayConnect } from "../server/cors.ts";
import { type Identity, onExpiry, remember, type Unauthorized } from "../server/identity.ts";
import { addressOf } from "../server/turns.ts";
import { inOneGo } from "./in-one-go.ts";
import { LIVE, type Operations } from "./operations.ts";
import type { Places } from "./places.ts";

const GOING_AWAY = 1001; // clients connect again
const TRY_AGAIN_LATER = 1013;
const REASON_LENGTH = 120; // of 123 bytes that the protocol has for it
const CLOSING_MS = 300; // for a client to answer that

export type WebSockets = {
  /** Takes over a request to upgrade to a WebSocket, or refuses it. */
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  close: () => Promise<void>;
};

/** `whoIs` says who sends an Authorization header: in the `connection_init`, as browsers cannot set headers, else of the upgrade. */
export function webSockets(
  operations: Operations,
  whoIs: (authorization: string | undefined) => Promise<Identity>,
  { corsOrigins, trustProxy }: Pick<Config, "corsOrigins" | "trustProxy">,
  places: Places,
): WebSockets {
  const wss = new WebSocketServer({
    noServer: true,
    maxPayload: LIVE.messageBytes,
    handleProtocols,
    perMessageDeflate: false,
  });
  const graphql = makeServer<Record<string, unknown>, { socket: WebSocket; request: IncomingMessage }>({
    ...(operations as object),
    connectionInitWaitTimeout: LIVE.initMs,
    async onConnect({ connectionParams, extra: { socket, request } }) {
      const given = normalizeConnectionParams(connectionParams)?.authorization ?? request.headers.authorization;
      try {
        remember(request, await whoIs(given === undefined ? undefined : String(given)));
      } catch (error) {
        const { status, message } = error as Unauthorized;
        socket.close(status === 503 ? TRY_AGAIN_LATER : CloseCode.Forbidden, message.slice(0, REASON_LENGTH));
        return false;
      }
      const callOff = onExpiry(request, () =>
        socket.close(CloseCode.Forbidden, "the token has expired: get a new one"),
      );
      socket.once("close", callOff);
      return true;
    },
  });

  return {
    upgrade(request, socket, head) {
      if (!mayConnect(corsOrigins, request))
        return refuse(socket, "403 Forbidden", "pages of this origin are not in CORS_ORIGINS");
      const leave = places.take("websocket", addressOf(request, trustProxy));
      if (typeof leave === "string") return refuse(socket, "503 Service Unavailable", leave);
      socket.once("close", leave);
      wss.handleUpgrade(request, socket, head, (client) => open(client, request, socket));
    },
    async close() {
      const clients = [...wss.clients];
      const closed = Promise.all(clients.map((client) => new Promise((resolve) => client.once("close", resolve))));
      for (const client of clients) client.close(GOING_AWAY, "The server stops");
      const timer = setTimeout(() => clients.forEach((client) => void client.terminate()), CLOSING_MS);
      await closed;
      clearTimeout(timer);
      wss.close();
    },
  };

  function open(client: WebSocket, request: IncomingMessage, socket: Duplex) {
    client.on("error", (error) => log.debug("a WebSocket broke", { error }));
    keepAlive(client);
    const closed = graphql.opened(
      {
        protocol: client.protocol,
        // Its promise is what holds the next result back.
        async send(data) {
          if (client.bufferedAmount > LIVE.unreadBytes) client.terminate();
          inOneGo(socket);
          const sent = new Promise<void>((resolve, reject) => {
            client.send(data, (error) => (error ? reject(error) : resolve()));
          });
          if (socket.writableNeedDrain) return sent;
          sent.catch(() => {}); // the connection is closed then, which ends its subscriptions
        },
        close: (code, reason) => client.close(code, reason),
        onMessage: (handle) =>
          client.on("message", (data) => {
            handle(String(data)).catch((error) => {
              if (client.readyState !== client.OPEN) return; // it left in the middle of it
              log.error("a message over a WebSocket failed", { error });
              client.close(CloseCode.InternalServerError, "Something went wrong");
            });
          }),
      },
      { socket: client, request },
    );
    client.once("close", (code, reason) => void closed(code, String(reason)));
  }
}

function keepAlive(client: WebSocket) {
  let isThere = true;
  client.on("pong", () => (isThere = true));
  const timer = setInterval(() => {
    if (!isThere) return client.terminate();
    isThere = false;
    client.ping();
  }, LIVE.pingMs);
  client.once("close", () => clearInterval(timer));
}

/** Answers an upgrade as HTTP does, and closes the connection. */
export function refuse(socket: Duplex, status: string, reason: string) {
  socket.on("error", () => {});
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(reason)}\r\n\r\n${reason}`,
  );
}
