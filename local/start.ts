// npm start: starts what the environment does not name, migrates, starts ingest, worker and server, and says when all are ready.

import { mkdirSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ConfigError, readConfig } from "../src/config.ts";
import { reason } from "../src/log.ts";
import { DATABASE_PORT, DATABASE_URL, KAFKA_BROKERS, KAFKA_PORT } from "./addresses.ts";
import { type Child, say, startChild } from "./child.ts";
import { LocalError } from "./error.ts";
import { kafkaJars, requireMaven } from "./kafka/jars.ts";
import { findJava } from "./kafka/java.ts";
import { onLauncherGone } from "./launcher.ts";
import { takeLock } from "./lock.ts";
import { portIsBusy } from "./ports.ts";
import { untilDatabase, untilOk } from "./ready.ts";
import { localSecret } from "./secret.ts";
import { welcome } from "./welcome.ts";

const LOCK = ".local/start.sock"; // relative: a socket's path has to be short
const LEFTOVERS_MS = 8_000; // what a killed npm start left behind is gone within 6 s, see guard.ts
// Ctrl-C promises 5 s: first those that work with the database and Kafka, then these two.
const STOP_APPS_MS = 2_500;
const STOP_SERVICES_MS = 2_200;

const NEVER = new Promise<never>(() => {});

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const services: Child[] = [];
const apps: Child[] = [];
let stopping = false;
let stoppingSince = 0;
let locked = false;

process
  .on("SIGINT", () => stop(0))
  .on("SIGTERM", () => stop(0))
  .on("SIGHUP", () => stop(0));
onLauncherGone(() => stop(1));
// A terminal that was closed takes no more lines; that must not keep anything from stopping in order.
for (const output of [process.stdout, process.stderr]) output.on("error", () => {});

try {
  await start();
} catch (error) {
  if (!stopping) {
    process.stderr.write(
      `${error instanceof LocalError || error instanceof ConfigError ? error.message : reason(error)}\n`,
    );
    await stop(error instanceof ConfigError ? 2 : 1);
  }
}

async function start(): Promise<void> {
  const local = { database: !process.env.DATABASE_URL?.trim(), kafka: !process.env.KAFKA_BROKERS?.trim() };
  const env = {
    NODE_COMPILE_CACHE: ".local/compile-cache", // the server's modules load in 0.47 s instead of 0.67
    ...process.env,
    ...(local.database && { DATABASE_URL }),
    ...(local.kafka && { KAFKA_BROKERS }),
    ...(!process.env.JWT_SECRET?.trim() && !process.env.JWKS_URL?.trim() && { JWT_SECRET: localSecret() }),
  };
  const config = readConfig(env);

  if (local.database || local.kafka) await alone();
  if (local.database) await free(DATABASE_PORT, "the local TimescaleDB", "set DATABASE_URL to the database to use");
  if (local.kafka) await free(KAFKA_PORT, "the local Kafka", "set KAFKA_BROKERS to the Kafka to use");
  await free(config.port, "the server", "set PORT to another one");
  if (local.kafka) {
    // What is missing is said now, before anything has started.
    await findJava();
    requireMaven();
  }

  const launch = (list: Child[], name: string, ...argv: string[]) => {
    const child = startChild(name, argv, env);
    list.push(child);
    return child;
  };
  /** Waits for `ready`, or for the child's untimely end. */
  const first = async (child: Child | undefined, ready: Promise<void>) => {
    const how = await Promise.race([ready, child?.ended ?? NEVER]);
    if (typeof how === "string")
      throw new LocalError(`${child?.name} ended (${how}) before it was ready: it said why above`);
  };

  const database = async () => {
    const folder = ["--data-dir", ".local/database", "--port", String(DATABASE_PORT)];
    if (local.database) say("database", "starting TimescaleDB");
    if (local.database)
      await first(
        launch(services, "database", "local/database.ts", ...folder),
        untilDatabase(config.databaseUrl, (why) => say("database", `starting: ${why}`)),
      );
    if (stopping) return;
    const how = await launch(apps, "migrate", "tools/migrate.ts").ended;
    if (how !== "status 0") throw new LocalError(`the migration failed (${how}): it said why above`);
  };
  const kafka = async () => {
    if (!local.kafka) return;
    await kafkaJars((message) => say("kafka", message));
    if (stopping) return;
    const topics = ["--topic", `${config.ingestTopic}:3`, "--topic", `${config.alertTopic}:1`];
    const child = launch(services, "kafka", "local/kafka.ts", "--port", String(KAFKA_PORT), ...topics);
    await first(child, child.ready);
  };
  await Promise.all([database(), kafka()]);
  if (stopping) return;

  const ingest = launch(apps, "ingest", "src/ingest/main.ts");
  const worker = launch(apps, "worker", "src/tasks/main.ts");
  const server = launch(apps, "server", "src/server.ts");
  const address = `http://${reachable(config.host)}:${config.port}`;
  await Promise.all([
    first(ingest, ingest.ready),
    first(worker, worker.ready),
    first(server, server.ready),
    first(
      server,
      untilOk(`${address}/readyz`, (why) => say("server", `not ready yet: ${why}`)),
    ),
  ]);
  for (const child of [...services, ingest, worker, server]) child.keep();
  await firstRequest(`${address}/graphql`);
  process.stdout.write(welcome(config, address));
}

/** A request of our own, which the server reports as an event like any other, so that a first look at StackLens is not empty. */
async function firstRequest(url: string): Promise<void> {
  const body = JSON.stringify({ query: "query FirstLook { stats { eventsStored } }" });
  await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body })
    .then((answer) => answer.arrayBuffer())
    .catch((error) => say("server", `its first request failed: ${reason(error)}`));
}

/** @throws LocalError if another npm start runs here. */
async function alone(): Promise<void> {
  mkdirSync(".local", { recursive: true });
  const lock = await takeLock(LOCK);
  if (typeof lock === "object")
    throw new LocalError(`npm start runs here already (process ${lock.pid}): use that one, or stop it first`);
  locked = true;
  if (lock === "taken") return;
  say("start", "the last npm start was killed; waiting until what it left has ended");
  const ports = [DATABASE_PORT, KAFKA_PORT];
  for (const end = Date.now() + LEFTOVERS_MS; Date.now() < end; await sleep(100))
    if (!(await Promise.all(ports.map(portIsBusy))).includes(true)) return;
}

async function free(port: number, what: string, otherwise: string): Promise<void> {
  if (await portIsBusy(port))
    throw new LocalError(`port ${port}, for ${what}, is busy: stop what listens on it, or ${otherwise}`);
}

/** The address under which this machine reaches a server that listens on `host`. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}

async function stop(status: number): Promise<void> {
  // In a terminal a Ctrl-C comes twice: to the whole process group, and passed on by npm. Only a later one means "now".
  if (stopping) {
    if (Date.now() - stoppingSince > 1_000) process.exit(1); // guard.ts takes the children along
    return;
  }
  stopping = true;
  stoppingSince = Date.now();
  if (apps.length + services.length > 0) say("start", "stopping");
  await Promise.all(apps.map((child) => child.stop(STOP_APPS_MS)));
  await Promise.all(services.map((child) => child.stop(STOP_SERVICES_MS)));
  if (locked) rmSync(LOCK, { force: true });
  process.exit(status);
}
