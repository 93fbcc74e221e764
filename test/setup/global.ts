// Runs once before all test files: servers, then the migrated template; and takes down what it put up.

import type { TestProject } from "vitest/node";
import { databaseServer, kafkaServer, type Where } from "./servers.ts";
import { dropTemplate, makeTemplate } from "./template.ts";

declare module "vitest" {
  interface ProvidedContext {
    database: { where: Where; server: string; template: string };
    kafka: { where: Where; brokers: string[] };
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const began = Date.now();
  const started = await Promise.allSettled([databaseServer(), kafkaServer()]);
  const stopAll = () => Promise.all(started.map((service) => service.status === "fulfilled" && service.value.stop()));
  try {
    const [database, kafka] = started.map((service) => {
      if (service.status === "rejected") throw service.reason;
      return service.value;
    }) as [Awaited<ReturnType<typeof databaseServer>>, Awaited<ReturnType<typeof kafkaServer>>];
    console.log(`database: ${database.says}\nkafka: ${kafka.says}`);

    const template = await makeTemplate(database.url);
    console.log(`services and template database ready in ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
    project.provide("database", { where: database.where, server: database.url, template });
    project.provide("kafka", { where: kafka.where, brokers: kafka.brokers });

    return async () => {
      await dropTemplate(database.url, template);
      await stopAll();
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}
