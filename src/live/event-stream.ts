// Subscriptions as server-sent events: POST with `Accept: text/event-stream`, one subscription a request, by the protocol of the
// package graphql-sse ("distinct connections").

import type { IncomingMessage, ServerResponse } from "node:http";
import { getBodyFromRequest } from "postgraphile/grafserv";
import { drained } from "../drained.ts";
import { onExpiry } from "../server/identity.ts";
import { note } from "../server/requests.ts";
import { json } from "../server/respond.ts";
import { addressOf } from "../server/turns.ts";
import { inOneGo } from "./in-one-go.ts";
import { type Context, LIVE, type Operations, start } from "./operations.ts";
import type { Places } from "./places.ts";

export type EventStreams = {
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  close: () => void;
};

export function isEventStream({ method, headers }: IncomingMessage): boolean {
  return method === "POST" && headers.accept?.includes("text/event-stream") === true;
}

export function eventStreams(operations: Operations, trustProxy: boolean, places: Places): EventStreams {
  const open = new Set<ServerResponse>();

  return {
    async handle(request, response) {
      if (response.destroyed) return; // it left while its token was verified
      const leave = places.take("sse", addressOf(request, trustProxy));
      if (typeof leave === "string") return refuse(response, 503, leave);
      response.once("close", leave);
      open.add(response);
      response.once("close", () => open.delete(response));

      const payload = await read(request);
      if ("problem" in payload) return refuse(response, payload.status, payload.problem);
      const context: Context = {
        connectionInitReceived: true,
        acknowledged: true,
        subscriptions: {},
        extra: { request },
      };
      const results = await start(operations, context, payload.body);
      response.once("close", () => void results.return?.());
      if (response.destroyed) return void results.return?.();

      note(request, { answeredAt: performance.now() });
      request.socket.setNoDelay(true);
      response.writeHead(200, {
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-cache, no-transform",
        "X-Accel-Buffering": "no", // nginx
      });
      const write = async (text: string) => {
        inOneGo(request.socket);
        if (!response.write(text)) await drained(response);
      };
      const ping = setInterval(() => {
        if (response.writableLength > LIVE.unreadBytes) response.destroy();
        else response.write(":\n\n");
      }, LIVE.pingMs);
      response.once("close", () => clearInterval(ping));
      response.once(
        "close",
        onExpiry(request, () => response.destroy()),
      );
      response.write(":\n\n"); // the headers go out at once
      for (let next = await results.next(); !next.done && !response.destroyed; next = await results.next())
        await write(`event: next\ndata: ${JSON.stringify(next.value)}\n\n`);
      response.end("event: complete\ndata:\n\n");
    },
    close() {
      // Without "complete", so that clients connect again.
      for (const response of open) response.destroy();
    },
  };
}

type Payload = Parameters<typeof start>[2];

async function read(request: IncomingMessage): Promise<{ body: Payload } | { problem: string; status: number }> {
  if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? ""))
    return { status: 415, problem: "Send JSON, as application/json" };
  const read = await getBodyFromRequest(request, LIVE.messageBytes).catch(() => undefined);
  if (read?.type !== "buffer") return { status: 413, problem: `The body is larger than ${LIVE.messageBytes} bytes` };
  try {
    return { body: JSON.parse(read.buffer.toString("utf8")) };
  } catch {
    return { status: 400, problem: "The body is not JSON" };
  }
}

function refuse(response: ServerResponse, status: number, message: string) {
  const codes: Record<number, string> = { 503: "UNAVAILABLE" };
  json(response, status, { errors: [{ message, extensions: { code: codes[status] ?? "BAD_REQUEST" } }] });
}
