// The local Kafka: Apache Kafka 4 in KRaft mode, one node, settings for a laptop. `node local/kafka.ts` runs it alone.

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ensureTopics, kafkaClient } from "../src/kafka.ts";
import { reason } from "../src/log.ts";
import { LocalError } from "./error.ts";
import { endWithParent } from "./guard.ts";
import { java, javaFlags, kafkaJars } from "./kafka/jars.ts";
import { serverProperties } from "./kafka/properties.ts";
import { freePort, portIsBusy, portListens } from "./ports.ts";

const START_LIMIT_MS = 120_000; // 2 s on an idle machine; a laptop that swaps needs patience
const STOP_LIMIT_MS = 3_500; // 0.3 s measured; npm start promises 5 s for everything

export type LocalKafka = { brokers: string; pid: number; exited: Promise<string>; stop: () => Promise<void> };

/**
 * Starts Kafka on 127.0.0.1:`port` with its data under `dataDir`, and makes the topics.
 * `exited` resolves with the reason if the broker ends by itself.
 * @throws LocalError: one line that says what is wrong and what to do.
 */
export async function startKafka(options: {
  dataDir: string;
  port: number;
  topics?: { topic: string; numPartitions: number }[];
  onProgress?: (message: string) => void;
}): Promise<LocalKafka> {
  const { dataDir, port, onProgress = () => {} } = options;
  const topics = options.topics ?? [
    { topic: "stacklens-analytics", numPartitions: 3 },
    { topic: "analytics-alerts", numPartitions: 1 },
  ];
  const brokers = `127.0.0.1:${port}`;

  if (await portIsBusy(port))
    throw new LocalError(
      `port ${port} on 127.0.0.1 is busy: another Kafka may be running; stop it, or set KAFKA_BROKERS=${brokers} to use it`,
    );
  const program = await java();
  const jars = await kafkaJars(onProgress);
  const run = (main: string, args: string[], log: number) =>
    spawn(program, [...javaFlags(jars), main, ...args], { stdio: ["ignore", log, log], detached: true });

  const data = join(dataDir, "data");
  const logFile = join(dataDir, "kafka.log");
  const settings = join(dataDir, "server.properties");
  mkdirSync(dataDir, { recursive: true });
  const log = openSync(logFile, "w");
  let broker: ChildProcess;
  try {
    if (!existsSync(data)) {
      onProgress("preparing Kafka's data folder");
      await format(
        dataDir,
        data,
        (file) => run("kafka.tools.StorageTool", ["format", "-t", newId(), "-c", file], log),
        logFile,
      );
    }
    writeFileSync(settings, serverProperties({ data, port, controllerPort: await freePort() }));
    onProgress("starting Kafka");
    broker = run("kafka.Kafka", [settings], log);
  } finally {
    closeSync(log);
  }
  endWithParent(broker);

  const exited = new Promise<string>((resolve) => {
    broker.once("error", (error) => resolve(error.message));
    broker.once("exit", (code, signal) => resolve(`Kafka ended (${signal ?? `status ${code}`})`));
  });
  const stop = async () => {
    broker.kill("SIGTERM");
    const gone = await Promise.race([exited.then(() => true), sleep(STOP_LIMIT_MS, false, { ref: false })]);
    if (!gone) broker.kill("SIGKILL");
    await exited;
  };

  const listening = await Promise.race([untilListening(port), exited.then(() => false)]);
  if (!listening) {
    await stop();
    throw failure(dataDir, logFile);
  }
  const kafka = kafkaClient({ kafka: { brokers: [brokers], ssl: false } }, "stacklens-start");
  await ensureTopics(kafka, topics);
  return { brokers, pid: broker.pid!, exited, stop };
}

/** Formats into a folder beside `data` and renames it, so that a kill in between leaves nothing half done. */
async function format(
  dataDir: string,
  data: string,
  run: (settings: string) => ChildProcess,
  logFile: string,
): Promise<void> {
  const fresh = join(dataDir, "data.new");
  const settings = join(dataDir, "format.properties");
  rmSync(fresh, { recursive: true, force: true });
  writeFileSync(settings, serverProperties({ data: fresh, port: 1, controllerPort: 2 }));
  const code = await new Promise((resolve) => run(settings).once("exit", resolve).once("error", resolve));
  if (code !== 0) throw failure(dataDir, logFile);
  rmSync(settings);
  renameSync(fresh, data);
}

async function untilListening(port: number): Promise<boolean> {
  for (const end = Date.now() + START_LIMIT_MS; Date.now() < end; await sleep(50))
    if (await portListens(port)) return true;
  return false;
}

function failure(dataDir: string, logFile: string): LocalError {
  const log = readFileSync(logFile, "utf8");
  if (log.includes("Failed to acquire lock"))
    return new LocalError(`another Kafka uses ${dataDir}: stop it first, or set KAFKA_BROKERS to use it`);
  const cause = /(?:Exception|Error): (.+)/.exec(log)?.[1] ?? "it gave no reason";
  return new LocalError(
    `Kafka cannot start on ${dataDir}: ${cause} (all of it: ${logFile}). ` +
      `If the folder is damaged, delete it: it holds only events that were not ingested yet`,
  );
}

/** A random 128-bit id in Kafka's own spelling. */
function newId(): string {
  return randomBytes(16).toString("base64url");
}

if (import.meta.main) {
  const options = {
    "data-dir": { type: "string", default: ".local/kafka" },
    port: { type: "string", default: "19092" },
  } as const;
  try {
    const { values } = parseArgs({ options });
    const kafka = await startKafka({
      dataDir: values["data-dir"],
      port: Number(values.port),
      onProgress: (message) => console.error(message),
    });
    console.error(`Kafka is ready on ${kafka.brokers}`);
    const stop = () => void kafka.stop().then(() => process.exit(0));
    process.once("SIGINT", stop).once("SIGTERM", stop);
    console.error(await kafka.exited);
    process.exitCode = 1;
  } catch (error) {
    console.error(reason(error));
    process.exitCode = 1;
  }
}
