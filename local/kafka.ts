// The local Kafka: Apache Kafka 4 in KRaft mode, one node, settings for a laptop. `node local/kafka.ts` runs it alone.

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ensureTopics, kafkaClient } from "../src/kafka.ts";
import { reason } from "../src/log.ts";
import { LocalError } from "./error.ts";
import { endWithParent } from "./guard.ts";
import { kafkaJars } from "./kafka/jars.ts";
import { classArchive, findJava, javaFlags } from "./kafka/java.ts";
import { type KafkaLog, kafkaLog } from "./kafka/log.ts";
import { serverProperties } from "./kafka/properties.ts";
import { rememberBroker, runningBroker } from "./kafka/running.ts";
import { warmUp } from "./kafka/warm-up.ts";
import { freePort, portIsBusy, portListens } from "./ports.ts";

const START_LIMIT_MS = 120_000; // 2 s on an idle machine; one that swaps needs patience
const STOP_LIMIT_MS = 1_800; // 0.3 s measured; npm start promises 5 s for everything, and kill -9 does no harm

const TOPICS = [
  { topic: "stacklens-analytics", numPartitions: 3 },
  { topic: "analytics-alerts", numPartitions: 1 },
];

export type LocalKafka = {
  brokers: string;
  /** The broker's process. */
  pid: number;
  /** Resolves when the broker has ended, with how it ended. */
  exited: Promise<string>;
  stop: () => Promise<void>;
};

/**
 * Starts Kafka on 127.0.0.1:`port` with its data under `dataDir`, and makes the topics.
 * @throws LocalError: one line that says what is wrong and what to do.
 */
export async function startKafka(options: {
  dataDir: string;
  port: number;
  topics?: { topic: string; numPartitions: number }[];
  onProgress?: (message: string) => void;
}): Promise<LocalKafka> {
  const { port, topics = TOPICS, onProgress = () => {} } = options;
  const dataDir = resolve(options.dataDir);
  const brokers = `127.0.0.1:${port}`;

  if (await portIsBusy(port))
    throw new LocalError(
      `port ${port} is busy: if a Kafka listens there, set KAFKA_BROKERS=${brokers} to use it, else stop what does`,
    );
  const java = await findJava();
  const jars = await kafkaJars(onProgress);
  try {
    mkdirSync(dataDir, { recursive: true });
  } catch (error) {
    throw new LocalError(`${dataDir} cannot be Kafka's data folder: ${(error as Error).message}`);
  }
  const settings = join(dataDir, "server.properties");
  const running = runningBroker(dataDir, settings);
  if (running)
    throw new LocalError(`another Kafka (process ${running}) uses ${dataDir}: stop it, or set KAFKA_BROKERS to use it`);
  const log = kafkaLog(join(dataDir, "kafka.log"));
  const run = (...args: string[]) => {
    const output = openSync(log.file, "a");
    const stdio = ["ignore" as const, output, output];
    const child = spawn(java.program, [...javaFlags(jars), ...args], { stdio, detached: true });
    closeSync(output);
    endWithParent(child);
    if (child.pid !== undefined) rememberBroker(dataDir, child.pid);
    return child;
  };

  const data = join(dataDir, "data");
  if (!existsSync(data)) {
    onProgress("preparing Kafka's data folder");
    await format(dataDir, data, log, (settings) =>
      run("kafka.tools.StorageTool", "format", "-t", newId(), "-c", settings),
    );
  }

  writeFileSync(settings, serverProperties({ data, port, controllerPort: await freePort() }));
  const archive = classArchive(java, jars);
  if (!existsSync(archive)) {
    onProgress("starting Kafka once to make its later starts quicker");
    await archiveClasses(archive, port, (flag) => run(flag, "kafka.Kafka", settings));
  }
  onProgress("starting Kafka");
  const broker = run(`-XX:SharedArchiveFile=${archive}`, "kafka.Kafka", settings);
  const exited = once(broker, "exit").then(([code, signal]) => `Kafka ended (${signal ?? `status ${code}`})`, reason);
  const stop = async () => {
    broker.kill("SIGTERM");
    const gone = await Promise.race([exited, sleep(STOP_LIMIT_MS, undefined, { ref: false })]);
    if (!gone) broker.kill("SIGKILL");
    await exited;
  };

  try {
    const kafka = kafkaClient({ kafka: { brokers: [brokers], ssl: false } }, "stacklens-local");
    const ready = async () => {
      if (!(await listens(broker, port))) return false;
      await Promise.all([ensureTopics(kafka, topics), warmUp(kafka)]);
      return true;
    };
    if (!(await Promise.race([ready(), exited.then(() => false)]))) throw failure(dataDir, log);
  } catch (error) {
    await stop();
    throw error;
  }
  return { brokers, pid: broker.pid!, exited, stop };
}

/** Formats a folder beside `data` and renames it, so that a kill in between leaves nothing half done. */
async function format(
  dataDir: string,
  data: string,
  log: KafkaLog,
  run: (settings: string) => ChildProcess,
): Promise<void> {
  const fresh = join(dataDir, "data.new");
  const settings = join(dataDir, "format.properties");
  rmSync(fresh, { recursive: true, force: true });
  writeFileSync(settings, serverProperties({ data: fresh, port: 1, controllerPort: 2 }));
  const [code] = await once(run(settings), "exit");
  if (code !== 0) throw failure(dataDir, log);
  rmSync(settings);
  renameSync(fresh, data);
}

/** Starts a broker that writes down the classes that it loaded when it ends, and ends it. */
async function archiveClasses(archive: string, port: number, run: (flag: string) => ChildProcess): Promise<void> {
  const fresh = `${archive}.${process.pid}`;
  const broker = run(`-XX:ArchiveClassesAtExit=${fresh}`);
  const exited = once(broker, "exit");
  await listens(broker, port);
  broker.kill("SIGTERM");
  await exited;
  if (existsSync(fresh)) renameSync(fresh, archive);
}

/** Whether the broker came to listen; false when it ended before, or took too long. */
async function listens(broker: ChildProcess, port: number): Promise<boolean> {
  for (const end = Date.now() + START_LIMIT_MS; Date.now() < end; await sleep(50)) {
    if (broker.exitCode !== null || broker.signalCode !== null) return false;
    if (await portListens(port)) return true;
  }
  return false;
}

function failure(dataDir: string, log: KafkaLog): LocalError {
  const written = log.sinceStart();
  if (/NoClassDefFound|ClassNotFound|load main class/.test(written))
    return new LocalError("Kafka's jars are incomplete: delete .local/kafka-jars, the next start fetches them again");
  const cause = /(?:Exception|Error): (.+)/.exec(written)?.[1] ?? "it gave no reason";
  return new LocalError(
    `Kafka cannot start on ${dataDir}: ${cause} (all of it: ${log.file}). If the folder is damaged, delete it: ` +
      "it holds only messages on their way, not what the database has",
  );
}

/** A random 128-bit id in Kafka's own spelling; one that began with a dash would look like an option. */
function newId(): string {
  const id = randomBytes(16).toString("base64url");
  return id.startsWith("-") ? newId() : id;
}

if (import.meta.main) {
  const options = {
    "data-dir": { type: "string", default: ".local/kafka" },
    port: { type: "string", default: "19092" },
    topic: { type: "string", multiple: true }, // name:partitions
  } as const;
  try {
    let kafka: LocalKafka | undefined;
    let stopping = false;
    const stop = () => {
      // While it starts there is nothing to shut down cleanly: the exit takes the broker along.
      if (!kafka || stopping) process.exit(0);
      stopping = true;
      void kafka.stop().then(() => process.exit(0));
    };
    process.on("SIGINT", stop).on("SIGTERM", stop);
    const { values } = parseArgs({ options });
    const onProgress = (message: string) => console.error(message);
    const topics = values.topic?.map((topic) => {
      const [name, partitions] = topic.split(":");
      return { topic: name!, numPartitions: Number(partitions ?? 1) };
    });
    const where = { dataDir: values["data-dir"], port: Number(values.port) };
    kafka = await startKafka({ ...where, ...(topics && { topics }), onProgress });
    console.error(`ready on ${kafka.brokers}`);
    process.send?.("ready");
    const how = await kafka.exited;
    if (stopping) process.exit(0);
    console.error(how);
  } catch (error) {
    console.error(reason(error));
  }
  process.exit(1);
}
