// The embedded TimescaleDB: a PostgreSQL server on a TCP port, in this process. Also a program:
// node local/database.ts --data-dir D --port P
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { openDatabases } from "./database/databases.ts";
import { createGateway } from "./database/server.ts";
import { compilePostgres } from "./database/wasm.ts";

export interface DatabaseOptions {
  dataDir: string;
  port: number;
  host?: string;
  /** "test" gives up safety against power cuts for speed. */
  tuning?: "laptop" | "test";
}

/** Starts the server; `url` is that of the database stacklens. Problems are errors of one clear line. */
export async function startDatabase(options: DatabaseOptions): Promise<{ url: string; stop(): Promise<void> }> {
  const { dataDir, port, host = "127.0.0.1", tuning = "laptop" } = options;
  mkdirSync(dataDir, { recursive: true });
  const databases = await openDatabases(dataDir, compilePostgres(tuning === "laptop" ? 64 : 16), tuning === "laptop");
  await databases.open("stacklens");
  const server = createGateway(databases);
  server.listen(port, host);
  await once(server, "listening");
  const address = server.address() as { port: number };
  return {
    url: `postgres://postgres@${host}:${address.port}/stacklens`,
    async stop() {
      server.close();
      await databases.close();
    },
  };
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { "data-dir": { type: "string" }, port: { type: "string" } } });
  try {
    const { url, stop } = await startDatabase({ dataDir: values["data-dir"]!, port: Number(values.port) });
    console.log(`TimescaleDB is ready at ${url}`);
    const end = () => stop().then(() => process.exit(0));
    process.once("SIGTERM", end);
    process.once("SIGINT", end);
  } catch (reason) {
    console.error((reason as Error).message);
    process.exit(1);
  }
}
