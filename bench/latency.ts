// From an event that breaches a rule to the alert message on Kafka, alone and beside other events: each trial is a service of its
// own, sent at a random phase of the evaluation's rhythm.

import { setTimeout as sleep } from "node:timers/promises";
import { type Figures, percentile, startStack } from "./stack.ts";

const LOADS = [0, 1_000, 10_000]; // events a second
const SLOW_MS = 100_000; // no other event is so slow

/** Runs the trials at each load. */
export async function benchLatency(trials: number): Promise<Figures> {
  const stack = await startStack("latency");
  const sent = new Map<string, number>();
  const took = new Map<string, number>();
  const consumer = stack.kafka.consumer({ groupId: `${stack.env.INGEST_GROUP}_bench` });
  const producer = stack.kafka.producer();
  try {
    // The shipped rules rest, so that one event is one alert.
    await stack.sql`update analytics.alert_rules set enabled = false`;
    await stack.sql`
      insert into analytics.alert_rules (id, name, metric, operator, threshold, lookback, severity)
      values ('bench', 'Bench', 'latency_max', '>=', ${SLOW_MS}, '10 s', 'critical')`;
    stack.start("ingest/main.ts");
    stack.start("tasks/main.ts");
    await Promise.all([producer.connect(), consumer.connect()]);
    await consumer.subscribe({ topic: stack.env.ALERT_TOPIC, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message }) => {
        const { service, event } = JSON.parse(message.value!.toString());
        if (event === "triggered" && sent.has(service)) took.set(service, performance.now() - sent.get(service)!);
      },
    });

    const figures: Figures = { servers: stack.where, "trials at each load": trials };
    for (const load of LOADS) {
      const stopLoad = load > 0 ? stack.load(load) : async () => {};
      await sleep(10_000); // group joins, first evaluation, the load runs evenly
      const services = Array.from({ length: trials }, (_, n) => `trial-${load}-${n}`);
      for (const service of services) {
        const value = JSON.stringify({ timestamp: Date.now(), service, level: "info", latency_ms: SLOW_MS });
        sent.set(service, performance.now());
        await producer.send({ topic: stack.env.INGEST_TOPIC, messages: [{ value }] });
        await sleep(100 + Math.random() * 400);
      }
      const came = () => services.filter((service) => took.has(service)).map((service) => took.get(service)!);
      for (const end = Date.now() + 10_000; came().length < trials && Date.now() < end; ) await sleep(100);
      await stopLoad();
      const at = `beside ${load} events/s`;
      figures[`alerts that came ${at}`] = came().length;
      figures[`event to message ${at}, median, ms`] = Math.round(percentile(came(), 0.5));
      figures[`event to message ${at}, p99, ms`] = Math.round(percentile(came(), 0.99));
      figures[`event to message ${at}, maximum, ms`] = Math.round(Math.max(...came()));
    }
    return figures;
  } finally {
    await Promise.all([consumer.disconnect(), producer.disconnect()]);
    await stack.stop();
  }
}
