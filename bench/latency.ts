// From an event that breaches a rule to the alert message on Kafka: each trial is a service of its own, sent at a random phase
// of the evaluation's rhythm.

import { setTimeout as sleep } from "node:timers/promises";
import { percentile, startStack } from "./stack.ts";

/** Runs the trials; median, p99 and maximum in ms. */
export async function benchLatency(trials: number): Promise<Record<string, string | number>> {
  const stack = await startStack("latency");
  const sent = new Map<string, number>();
  const took: number[] = [];
  const consumer = stack.kafka.consumer({ groupId: `${stack.env.INGEST_GROUP}_bench` });
  const producer = stack.kafka.producer();
  try {
    // The shipped rules rest, so that one event is one alert.
    await stack.sql`update analytics.alert_rules set enabled = false`;
    await stack.sql`
      insert into analytics.alert_rules (id, name, metric, operator, threshold, lookback, severity)
      values ('bench', 'Bench', 'latency_max', '>', 1000, '10 s', 'critical')`;
    stack.start("ingest/main.ts");
    stack.start("tasks/main.ts");
    await Promise.all([producer.connect(), consumer.connect()]);
    await consumer.subscribe({ topic: stack.env.ALERT_TOPIC, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message }) => {
        const alert = JSON.parse(message.value!.toString());
        const at = sent.get(alert.service);
        if (alert.event === "triggered" && at !== undefined) took.push(performance.now() - at);
      },
    });
    await sleep(5_000); // group joins, first evaluation

    for (let n = 0; n < trials; n++) {
      const service = `trial-${n}`;
      const value = JSON.stringify({ timestamp: Date.now(), service, level: "info", latency_ms: 5000 });
      sent.set(service, performance.now());
      await producer.send({ topic: stack.env.INGEST_TOPIC, messages: [{ value }] });
      await sleep(100 + Math.random() * 400);
    }
    for (const end = Date.now() + 10_000; took.length < trials && Date.now() < end; ) await sleep(100);
    return {
      servers: stack.where,
      trials,
      "alerts that came": took.length,
      "median, ms": Math.round(percentile(took, 0.5)),
      "p99, ms": Math.round(percentile(took, 0.99)),
      "maximum, ms": Math.round(Math.max(...took)),
    };
  } finally {
    await Promise.all([consumer.disconnect(), producer.disconnect()]);
    await stack.stop();
  }
}
