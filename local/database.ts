// The embedded TimescaleDB: a PostgreSQL server on a TCP port, in this process. Also a program:
// node local/database.ts --data-dir D --port P
//
// Postgres runs as WASM, one session in one thread for each database (database/worker.ts); what makes a server of it stands
// beside that: server.ts takes connections, login.ts says who comes, session.ts passes on what a client says when turns.ts gives
// it the turn, settings.ts and statements.ts give it back what it had, jobs.ts runs TimescaleDB's jobs, databases.ts keeps the
// folders, wasm.ts mends the build.
//
// What it is not: statements run one at a time in each database, and a client waits for another one's transaction or COPY, which
// ends by idle_in_transaction_session_timeout (1 min). Clients of a database have session advisory locks, temporary tables,
// cursors that outlive their transaction and PREPARE's names in common. Roles belong to a database. A job runs only while its
// database is open: stacklens always is, others are from their first client on.
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { openDatabases } from "./database/databases.ts";
import { lockDirectory } from "./database/lock.ts";
import { createGateway } from "./database/server.ts";
import { compilePostgres } from "./database/wasm.ts";

export interface DatabaseOptions {
  dataDir: string;
  port: number;
  host?: string;
  /** "test" takes less memory, and gives up safety against power cuts for speed; kill -9 is safe with both. */
  tuning?: "laptop" | "test";
}

/** Starts the server; `url` is that of the database stacklens. What goes wrong is an error of one line with the remedy. */
export async function startDatabase(options: DatabaseOptions): Promise<{ url: string; stop(): Promise<void> }> {
  const { dataDir, port, host = "127.0.0.1", tuning = "laptop" } = options;
  mkdirSync(dataDir, { recursive: true });
  const unlock = await lockDirectory(dataDir);
  try {
    const databases = await openDatabases(dataDir, compilePostgres(tuning === "laptop" ? 64 : 16), tuning === "laptop");
    const gateway = createGateway(databases);
    gateway.server.listen(port, host);
    try {
      await once(gateway.server, "listening");
    } catch (reason) {
      if ((reason as NodeJS.ErrnoException).code !== "EADDRINUSE") throw reason;
      throw new Error(`port ${port} on ${host} is in use; stop what listens there or choose another port`);
    }
    try {
      await databases.open("stacklens");
    } catch (reason) {
      gateway.server.close();
      throw reason;
    }
    const address = gateway.server.address() as { port: number };
    return {
      url: `postgres://postgres@${host}:${address.port}/stacklens`,
      async stop() {
        gateway.stop();
        await databases.close();
        unlock();
      },
    };
  } catch (reason) {
    unlock();
    throw reason;
  }
}

if (import.meta.main) {
  const usage = "usage: node local/database.ts --data-dir DIRECTORY --port PORT [--tuning laptop|test]";
  try {
    const { values } = parseArgs({
      options: { "data-dir": { type: "string" }, port: { type: "string" }, tuning: { type: "string" } },
    });
    const { "data-dir": dataDir, tuning = "laptop" } = values;
    const port = Number(values.port);
    if (!dataDir || !(port >= 0 && port < 65536) || (tuning !== "laptop" && tuning !== "test")) throw new Error(usage);
    const { url, stop } = await startDatabase({ dataDir, port, tuning });
    console.log(`TimescaleDB is ready at ${url}`);
    const end = () => stop().then(() => process.exit(0));
    process.once("SIGTERM", end);
    process.once("SIGINT", end);
  } catch (reason) {
    console.error(`local database: ${(reason as Error).message}`);
    process.exit(1);
  }
}
