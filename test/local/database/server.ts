// The embedded database as a process of its own, as npm start has it, and clients for it.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import postgres from "postgres";
import { inject } from "vitest";

const program = fileURLToPath(new URL("../../../local/database.ts", import.meta.url));

/** A directory that is removed when the test file ends; in memory where the system has that. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "stacklens-database-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Clients for a server, all ended together; `database` is the one that they have unless told otherwise. */
function clientsOf(host: string, port: number, database: string) {
  const url = (name = database, user = "postgres") => `postgres://${user}@${host}:${port}/${name}`;
  const clients: { end(): Promise<unknown> }[] = [];
  return {
    port,
    database,
    url,
    /** postgres.js, one connection unless told otherwise. */
    connect(name?: string, options: postgres.Options<Record<string, never>> = {}) {
      const socket = () => net.connect({ host, port, noDelay: true });
      const sql = postgres(url(name), { max: 1, onnotice: () => {}, ...{ socket }, ...options });
      clients.push({ end: () => sql.end({ timeout: 1 }) });
      return sql;
    },
    /** The client of the npm package pg. */
    async client(name?: string, user?: string) {
      const client = new pg.Client(url(name, user));
      client.on("error", () => {});
      await client.connect();
      clients.push(client);
      return client;
    },
    /** psql, with what it reads from standard input; its output, or its errors thrown. */
    async psql(input: string, name?: string, user?: string): Promise<string> {
      const running = promisify(execFile)("psql", ["-XqAt", "-v", "ON_ERROR_STOP=1", url(name, user)]);
      running.child.stdin!.end(input);
      return (await running).stdout.trim();
    },
    endClients: () => Promise.all(clients.map((client) => client.end().catch(() => {}))),
  };
}

/** Starts the program on a directory and waits until it is ready; its error, if it ends instead, is thrown. */
export async function startServer(directory = temporaryDirectory(), port = 0) {
  const child = spawn(process.execPath, [program, "--data-dir", directory, "--port", `${port}`, "--tuning", "test"]);
  let errors = "";
  child.stderr.on("data", (bytes) => {
    errors += bytes;
  });
  const exit = once(child, "exit");
  const ready = once(createInterface(child.stdout), "line").then(([line]) => line as string);
  const line = await Promise.race([ready, exit.then(() => undefined)]);
  if (!line) throw new Error(errors.trim());
  const clients = clientsOf("127.0.0.1", Number(new URL(line.match(/postgres:\S+/)![0]).port), "stacklens");
  return {
    ...clients,
    directory,
    /** Ends it: by SIGTERM, after its clients, or as a crash does. */
    async stop(signal: NodeJS.Signals = "SIGTERM") {
      if (signal === "SIGTERM") await clients.endClients();
      child.kill(signal);
      await exit;
    },
  };
}

/** A database of its own for a test file, on the embedded server that all tests share if there is one. */
export async function sharedServer() {
  const shared = (inject as (key: string) => unknown)("database") as { where: string; server: string } | undefined;
  if (shared?.where !== "embedded") return startServer();
  const { hostname, port } = new URL(shared.server);
  const database = `local_${process.pid}_${Date.now().toString(36)}`;
  const root = clientsOf(hostname, Number(port), "postgres");
  await root.psql(`create database ${database}`);
  const clients = clientsOf(hostname, Number(port), database);
  return {
    ...clients,
    async stop() {
      await clients.endClients();
      await root.psql(`drop database ${database} with (force)`);
    },
  };
}

export type Server = Awaited<ReturnType<typeof sharedServer>>;

/** A time limit in ms, longer on a machine that has more to do than it can. */
export const limit = (ms: number) => ms * Math.max(1, loadavg()[0]! / availableParallelism());

/** The error of a promise that must fail. */
export const failure = (promise: PromiseLike<unknown>): Promise<Error & { code?: string }> =>
  Promise.resolve(promise).then(
    () => Promise.reject(new Error("it did not fail")),
    (reason) => reason,
  );
