// Reads a topic of alert messages as a consumer of them would.

import { setTimeout as sleep } from "node:timers/promises";
import { kafkaClient } from "../../src/kafka.ts";
import { unique } from "../setup/services.ts";

export type Message = { key: string; value: Record<string, unknown>; arrived: number };

/** Starts at the beginning of the topic; `until` waits for a condition on what has arrived, and fails after 30 s. */
export async function consume(brokers: string[], topic: string) {
  const messages: Message[] = [];
  const kafka = kafkaClient({ kafka: { brokers, ssl: false } }, "stacklens-test");
  const consumer = kafka.consumer({ groupId: unique("alerts"), maxWaitTimeInMs: 20 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ message }) => {
      const value = JSON.parse(message.value?.toString() ?? "null");
      messages.push({ key: message.key?.toString() ?? "", value, arrived: Date.now() });
    },
  });
  return {
    messages,
    until: async (enough: (messages: Message[]) => boolean) => {
      for (const began = Date.now(); !enough(messages); await sleep(5)) {
        if (Date.now() - began < 30_000) continue;
        const seen = messages.map(({ key, value }) => `${value.event} ${key}`).join(", ");
        throw new Error(`the messages did not come within 30 s; these did: ${seen || "none"}`);
      }
    },
    stop: () => consumer.disconnect(),
  };
}
