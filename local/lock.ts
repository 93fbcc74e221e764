// One npm start at a time: a socket that the running one listens on. Unlike a file with a pid it cannot outlive its process
// in a way that matters, since nobody answers on it then.

import { rmSync } from "node:fs";
import net from "node:net";

/** Takes the lock at `path`: "taken"; "stale" where its last holder was killed; else the process id of its holder. */
export async function takeLock(path: string): Promise<"taken" | "stale" | { pid: string }> {
  if (await listen(path)) return "taken";
  const pid = await holder(path);
  if (pid !== undefined) return { pid };
  rmSync(path, { force: true });
  if (await listen(path)) return "stale";
  return { pid: (await holder(path)) ?? "unknown" };
}

function listen(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.on("error", () => {}).end(String(process.pid)));
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(false) : reject(error),
    );
    server.listen(path, () => resolve(true));
    server.unref();
  });
}

function holder(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let pid = "";
    const socket = net.connect(path);
    socket.on("data", (data) => {
      pid += data;
    });
    socket.once("end", () => resolve(pid)).once("error", () => resolve(undefined));
  });
}
