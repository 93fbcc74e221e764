// A TCP proxy in front of a server, to take that server away and give it back: what a restart or a network looks like from here.

import { once } from "node:events";
import net from "node:net";
import { freePort } from "../../local/ports.ts";

export type TcpProxy = {
  port: number;
  /** Cuts every connection and listens no more. */
  down: () => Promise<void>;
  up: () => Promise<void>;
  /** Cuts the connections whose first message has this text, and takes no new ones; undefined: takes all. */
  refuse: (text: string | undefined) => void;
};

/** A proxy on a port of its own; it is up. */
export async function proxy(host: string, port: number): Promise<TcpProxy> {
  const own = await freePort();
  const sockets = new Map<net.Socket, string>(); // with the first message of the client
  let server: net.Server;
  let refused: string | undefined;
  const isRefused = (message: string) => refused !== undefined && message.includes(refused);

  const it: TcpProxy = {
    port: own,
    async up() {
      server = net.createServer(async (client) => {
        const [message] = (await once(client, "data").catch(() => [])) as Buffer[];
        const first = String(message ?? "");
        if (message === undefined || isRefused(first)) return client.destroy();
        const upstream = net.connect({ host, port });
        upstream.write(message);
        for (const [socket, other] of [
          [client, upstream],
          [upstream, client],
        ] as const) {
          sockets.set(socket, first);
          socket.pipe(other);
          socket.on("error", () => other.destroy()).on("close", () => sockets.delete(socket));
        }
      });
      server.listen(own, "127.0.0.1");
      await once(server, "listening");
    },
    async down() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets.keys()) socket.destroy();
      await closed;
    },
    refuse(text) {
      refused = text;
      for (const [socket, first] of sockets) if (isRefused(first)) socket.destroy();
    },
  };
  await it.up();
  return it;
}

/** The connection string through a proxy. */
export function through(url: string, { port }: TcpProxy): string {
  const other = new URL(url);
  other.host = `127.0.0.1:${port}`;
  return other.href;
}
