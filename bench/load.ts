// A process that sends so many events a second to INGEST_TOPIC until it is told to stop: `node bench/load.ts 10000`.
// It is a process of its own so that it does not delay the one that measures.

import { setTimeout as sleep } from "node:timers/promises";
import { CompressionTypes } from "kafkajs";
import { readConfig } from "../src/config.ts";
import { kafkaClient } from "../src/kafka.ts";
import { makeEvents } from "./events.ts";

const TICK_MS = 100;

const perSecond = Number(process.argv[2]);
const config = readConfig(process.env);
const producer = kafkaClient(config, "stacklens-bench load").producer({ idempotent: true, maxInFlightRequests: 1 });
await producer.connect();

let running = true;
process.once("SIGTERM", () => (running = false));

const perTick = Math.round((perSecond * TICK_MS) / 1000);
const began = Date.now();
for (let tick = 1; running; tick++) {
  const messages = [...makeEvents(perTick, Date.now(), TICK_MS / 1000, tick)].map((value) => ({ value }));
  await producer.send({ topic: config.ingestTopic, compression: CompressionTypes.LZ4, messages });
  await sleep(Math.max(0, began + tick * TICK_MS - Date.now()));
}
await producer.disconnect();
