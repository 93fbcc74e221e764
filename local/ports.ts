// Questions about TCP ports on 127.0.0.1.

import { randomInt } from "node:crypto";
import net from "node:net";

const HOST = "127.0.0.1";

/** Whether another process listens on the port. */
export async function portIsBusy(port: number): Promise<boolean> {
  return !(await canListen(port));
}

/**
 * A port that was free a moment ago, below the range from which systems give ports by themselves (32768 and up on Linux): until it
 * is used, no other process gets it by chance.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    if (!(await portIsBusy(port))) return port;
  }
}

/** Whether something answers on the port. */
export function portListens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: HOST, port });
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(false) : reject(error),
    );
    server.listen({ host: HOST, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
