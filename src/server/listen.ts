// The HTTP server on its address, or one line that says why not.

import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";

export const REQUEST_TIMEOUT_MS = 30_000; // to receive a request; a client that sends slower than that holds a connection
// Longer than the minute after which proxies drop an idle connection: the one who uses it must not be the one who is told last.
const KEEP_ALIVE_MS = 65_000;
const DRAIN_MS = 1_000; // for requests that are under way when we stop

/** @throws Error whose message is one line with the remedy. */
export async function listen(host: string, port: number, listener: RequestListener): Promise<Server> {
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_MS },
    listener,
  );
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE")
      throw new Error(`port ${port} of ${host} is in use: stop the program that has it, or set PORT to another one`);
    if (code === "EACCES") throw new Error(`no permission to listen on port ${port}: set PORT to 1024 or higher`);
    if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND")
      throw new Error(`HOST is "${host}", which is no address of this machine: set it to one, or to 0.0.0.0 for all`);
    throw new Error(`cannot listen on ${host}:${port}: ${message}`);
  }
  return server;
}

/** Takes no new connections, lets what is under way finish for a second, then closes every connection. */
export async function close(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
  await closed;
  clearTimeout(timer);
}
