// The server publishes its own requests as events of the service `stacklens-api`, so that a first look at StackLens is never empty.
// Nobody waits for them: they go in batches, at most QUEUE_LIMIT wait, and what Kafka does not take in time is dropped and counted.

import type { Producer } from "kafkajs";
import type { Config } from "./config.ts";
import { kafkaClient } from "./kafka.ts";
import { log } from "./log.ts";
import type { Finished } from "./server/requests.ts";
import { within } from "./server/within.ts";

export const SERVICE = "stacklens-api";

const BATCH_EVERY_MS = 250;
const QUEUE_LIMIT = 1_000;
const SEND_LIMIT_MS = 5_000;
const STOP_LIMIT_MS = 500;
const OPERATION_LIMIT = 200; // distinct names; clients choose them, and each one is an endpoint in the metrics

/** What probes ask all the time; it would drown the rest. */
const PROBES = new Set(["/healthz", "/readyz", "/metrics"]);

export type SelfEvents = {
  record: (request: Finished) => void;
  /** Sends what is left, within half a second. */
  stop: () => Promise<void>;
  sent: number;
  dropped: number;
};

/** What does nothing, for SELF_EVENTS=off. */
export function noSelfEvents(): SelfEvents {
  return { record: () => {}, stop: async () => {}, sent: 0, dropped: 0 };
}

export function selfEvents(config: Config): SelfEvents {
  const operations = new Set<string>();
  let queue: string[] = [];
  let producer: Promise<Producer> | undefined;
  let sending: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let failing = false;

  const endpoint = ({ route, operation }: Finished) => {
    if (operation === undefined || operation.length > 255) return route;
    if (operations.size < OPERATION_LIMIT) operations.add(operation);
    return operations.has(operation) ? operation : route;
  };

  const self: SelfEvents = {
    sent: 0,
    dropped: 0,
    record(request) {
      if (PROBES.has(request.route)) return;
      if (queue.length >= QUEUE_LIMIT) {
        self.dropped++;
        return;
      }
      queue.push(JSON.stringify(eventOf(request, endpoint(request))));
      timer ??= setTimeout(send, BATCH_EVERY_MS);
    },
    async stop() {
      clearTimeout(timer);
      const old = producer;
      try {
        await within(STOP_LIMIT_MS, sending ?? Promise.resolve());
        if (queue.length > 0) await within(STOP_LIMIT_MS, send());
        await within(STOP_LIMIT_MS, old?.then((it) => it.disconnect()) ?? Promise.resolve());
      } catch {
        self.dropped += queue.length;
      }
    },
  };

  async function connect(): Promise<Producer> {
    const client = kafkaClient(config, SERVICE, 2);
    client.logger().setLogLevel(0); // kafkajs's NOTHING: one line of ours says it, below
    const it = client.producer({ allowAutoTopicCreation: false });
    await it.connect();
    return it;
  }

  function send(): Promise<void> {
    sending ??= attempt().finally(() => {
      sending = undefined;
      timer = queue.length > 0 ? setTimeout(send, BATCH_EVERY_MS) : undefined;
    });
    return sending;
  }

  async function attempt(): Promise<void> {
    const batch = queue;
    queue = [];
    try {
      producer ??= connect();
      const messages = batch.map((value) => ({ key: SERVICE, value }));
      await within(
        SEND_LIMIT_MS,
        producer.then((it) => it.send({ topic: config.ingestTopic, messages })),
      );
      self.sent += batch.length;
      if (failing) log.info("events about own requests reach Kafka again");
      failing = false;
    } catch (error) {
      self.dropped += batch.length;
      if (!failing) log.warn("events about own requests do not reach Kafka and are dropped", { error });
      failing = true;
      void producer?.then((it) => it.disconnect()).catch(() => {});
      producer = undefined;
    }
  }

  return self;
}

function eventOf(request: Finished, endpoint: string) {
  return {
    timestamp: Date.now(),
    service: SERVICE,
    level: request.failed ? "error" : request.status >= 400 ? "warning" : "info",
    endpoint,
    status_code: request.status,
    latency_ms: Math.round(request.latencyMs * 1000) / 1000,
    request_id: request.id,
    ...(request.address && { source_ip: request.address }),
  };
}
