// Which servers the tests run on: those that the environment names, else containers, else the local ones.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startKafka } from "../../local/kafka.ts";
import { freePort } from "../../local/ports.ts";
import { dockerAnswers, kafkaContainer, timescaleContainer } from "./containers.ts";
import { startDatabaseProcess } from "./embedded.ts";

export type Where = "environment" | "docker" | "embedded";
type Started = { where: Where; says: string; stop: () => Promise<void> };

const nothingToStop = async () => {};

/** A server on which databases may be created; `url` is a connection string to one that exists. */
export async function databaseServer(): Promise<Started & { url: string }> {
  const given = process.env.DATABASE_URL?.trim();
  if (given) {
    if (!URL.canParse(given))
      throw new Error("DATABASE_URL is not a URL of the form postgres://user@host:5432/postgres");
    return {
      where: "environment",
      says: `the server at DATABASE_URL, ${new URL(given).host}`,
      url: given,
      stop: nothingToStop,
    };
  }
  if (await dockerAnswers()) return { where: "docker", ...(await timescaleContainer()) };

  const data = await dataFolder("database");
  const database = await startDatabaseProcess(await freePort(), data.path);
  const stop = () => database.stop().finally(data.remove);
  return { where: "embedded", says: `embedded TimescaleDB, ${new URL(database.url).host}`, url: database.url, stop };
}

/** Kafka brokers on which topics may be created; `pid` is the process of a local one. */
export async function kafkaServer(): Promise<Started & { brokers: string[]; pid?: number }> {
  const given = process.env.KAFKA_BROKERS?.trim();
  if (given) {
    const brokers = given.split(",").map((broker) => broker.trim());
    return { where: "environment", says: `the brokers at KAFKA_BROKERS, ${given}`, brokers, stop: nothingToStop };
  }
  if (await dockerAnswers()) return { where: "docker", ...(await kafkaContainer()) };

  const data = await dataFolder("kafka");
  const kafka = await startKafka({ port: await freePort(), dataDir: data.path, topics: [], onProgress: console.log });
  const stop = () => kafka.stop().finally(data.remove);
  return {
    where: "embedded",
    says: `local Apache Kafka, ${kafka.brokers}`,
    brokers: [kafka.brokers],
    pid: kafka.pid,
    stop,
  };
}

/** A folder outside .local/, so that tests never touch what npm start keeps. */
async function dataFolder(service: string) {
  const path = await mkdtemp(join(tmpdir(), `stacklens-test-${service}-`));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
