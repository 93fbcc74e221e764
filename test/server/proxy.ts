// A TCP proxy in front of a server, to take that server away and give it back: what a restart or a network looks like from here.

import { once } from "node:events";
import net from "node:net";
import { freePort } from "../../local/ports.ts";

export type TcpProxy = {
  port: number;
  /** Cuts every connection and listens no more. */
  down: () => Promise<void>;
  up: () => Promise<void>;
};

/** A proxy on a port of its own; it is up. */
export async function proxy(host: string, port: number): Promise<TcpProxy> {
  const own = await freePort();
  const sockets = new Set<net.Socket>();
  let server: net.Server;

  const it: TcpProxy = {
    port: own,
    async up() {
      server = net.createServer((client) => {
        const upstream = net.connect({ host, port });
        for (const [socket, other] of [
          [client, upstream],
          [upstream, client],
        ] as const) {
          sockets.add(socket);
          socket.pipe(other);
          socket.on("error", () => other.destroy()).on("close", () => sockets.delete(socket));
        }
      });
      server.listen(own, "127.0.0.1");
      await once(server, "listening");
    },
    async down() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
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
