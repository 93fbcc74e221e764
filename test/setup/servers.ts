// Which servers the tests run on: those that the environment names, else containers, else the local ones.

import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { dockerAnswers, kafkaContainer, timescaleContainer } from "./containers.ts";
import { freePort } from "./free-port.ts";

export type Where = "environment" | "docker" | "embedded";
type Started = { where: Where; says: string; stop: () => Promise<void> };

const nothingToStop = async () => {};

/** A server on which databases may be created; `url` is a connection string to one that exists. */
export async function databaseServer(): Promise<Started & { url: string }> {
  const given = process.env.DATABASE_URL?.trim();
  if (given)
    return {
      where: "environment",
      says: `the server at DATABASE_URL, ${host(given)}`,
      url: given,
      stop: nothingToStop,
    };
  if (await dockerAnswers()) return { where: "docker", ...(await timescaleContainer()) };
  const { address, stop } = await embedded("database");
  return { where: "embedded", says: `embedded TimescaleDB, ${host(address)}`, url: address, stop };
}

/** Kafka brokers on which topics may be created. */
export async function kafkaServer(): Promise<Started & { brokers: string[] }> {
  const given = process.env.KAFKA_BROKERS?.trim();
  if (given) {
    const brokers = given.split(",").map((broker) => broker.trim());
    return { where: "environment", says: `the brokers at KAFKA_BROKERS, ${given}`, brokers, stop: nothingToStop };
  }
  if (await dockerAnswers()) return { where: "docker", ...(await kafkaContainer()) };
  const { address, stop } = await embedded("kafka");
  return { where: "embedded", says: `local Apache Kafka, ${address}`, brokers: [address], stop };
}

/** Starts one of the local services as a child process: in this one a busy vitest would make it stutter. */
async function embedded(service: "database" | "kafka"): Promise<{ address: string; stop: () => Promise<void> }> {
  const data = await mkdtemp(join(tmpdir(), `stacklens-test-${service}-`));
  const child = fork(
    fileURLToPath(new URL("embedded.ts", import.meta.url)),
    [service, String(await freePort()), data],
    {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    },
  );
  const exit = once(child, "exit");
  const address = await Promise.race([
    once(child, "message").then(([message]) => message as string),
    exit.then(([code]): never => {
      throw new Error(`the local ${service} ended with status ${code} while it started; what it wrote is above`);
    }),
  ]);
  return {
    address,
    stop: async () => {
      if (child.connected) child.disconnect();
      await exit;
      await rm(data, { recursive: true, force: true });
    },
  };
}

function host(url: string): string {
  return new URL(url).host;
}
