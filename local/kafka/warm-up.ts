// A broker listens before its group coordinator and its producer ids are there. Asking for both now, until they are, spares
// ingest and worker a failed first try each, and the user its error lines.

import { setTimeout as sleep } from "node:timers/promises";
import type { Kafka } from "kafkajs";
import { reason } from "../../src/log.ts";

const LIMIT_MS = 30_000;
const PAUSE_MS = 50;

/** Returns when a consumer group and an idempotent producer can start. */
export async function warmUp(kafka: Kafka): Promise<void> {
  const admin = kafka.admin({ retry: { retries: 0 } });
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await admin.connect();
  try {
    await Promise.all([
      until(() => admin.fetchOffsets({ groupId: "stacklens-warm-up" })),
      until(() => producer.connect()),
    ]);
  } finally {
    await Promise.allSettled([admin.disconnect(), producer.disconnect()]);
  }
}

async function until(attempt: () => Promise<unknown>): Promise<void> {
  for (const end = Date.now() + LIMIT_MS; ; await sleep(PAUSE_MS)) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (Date.now() > end)
        throw new Error(`Kafka listens, but is not ready after ${LIMIT_MS / 1000} s: ${reason(error)}`);
    }
  }
}
