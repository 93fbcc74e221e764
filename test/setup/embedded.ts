// The embedded TimescaleDB in a process of its own: beside vitest in one process, each would make the other stutter.
// As a program this file is that process; it ends when its parent does.

import { fork } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** Starts it; what goes wrong stands on standard error. The folder is gone when it has ended. */
export async function startDatabaseProcess(
  port: number,
  dataDir: string,
): Promise<{ url: string; stop: () => Promise<void> }> {
  const child = fork(fileURLToPath(import.meta.url), [String(port), dataDir], { execArgv: [] });
  const exit = once(child, "exit");
  const url = await Promise.race([
    once(child, "message").then(([message]) => message as string),
    exit.then(([status]): never => {
      throw new Error(`the embedded database ended with status ${status} while it started`);
    }),
  ]);
  return {
    url,
    stop: async () => {
      if (child.connected) child.disconnect();
      await exit;
    },
  };
}

if (import.meta.main) {
  const { startDatabase } = await import("../../local/database.ts");
  const [port, dataDir] = process.argv.slice(2);
  const database = await startDatabase({ port: Number(port), dataDir: dataDir!, tuning: "test" });
  process.once("disconnect", async () => {
    await database.stop();
    await rm(dataDir!, { recursive: true, force: true });
    process.exit(0);
  });
  process.send!(`postgres://postgres@127.0.0.1:${port}/postgres`);
}
