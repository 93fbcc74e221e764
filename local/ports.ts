// Questions about TCP ports on 127.0.0.1.

import net from "node:net";

const HOST = "127.0.0.1";

/** Whether another process listens on the port. */
export async function portIsBusy(port: number): Promise<boolean> {
  return (await bind(port)) === undefined;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  return (await bind(0))!;
}

/** Whether something answers on the port. */
export function portListens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: HOST, port });
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

function bind(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(undefined) : reject(error),
    );
    server.listen({ host: HOST, port, exclusive: true }, () => {
      const { port: bound } = server.address() as net.AddressInfo;
      server.close(() => resolve(bound));
    });
  });
}
