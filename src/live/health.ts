// The health of all services once a second: one query a second of the process, whose answer all subscribers get. Nobody
// subscribed: no query.

import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import { pgSettings } from "../graphql/session.ts";
import { log } from "../log.ts";
import { type Stream, stream } from "./stream.ts";

/** Rows of analytics.service_health by the names of their columns. */
export type HealthRows = Record<string, unknown>[];
/** What a query answered; `id` counts them. */
export type HealthEvent = { id: string; rows: HealthRows };
export type Health = {
  /** The newest answer, if there is one, then each one. */
  subscribe: () => Stream<HealthEvent>;
  /** How many subscribers there are. */
  subscribers: () => number;
  stop: () => void;
};

const EVERY_MS = 1_000;

export function health(pool: Pool): Health {
  const subscribers = new Set<Stream<HealthEvent>>();
  let latest: HealthEvent | undefined;
  let answers = 0;
  let running = false;

  async function run() {
    running = true;
    let failing = false;
    while (subscribers.size > 0) {
      const began = performance.now();
      try {
        latest = { id: String(++answers), rows: await read(pool) };
        for (const subscriber of subscribers) subscriber.push([latest]);
        if (failing) log.info("the health of services is delivered again");
        failing = false;
      } catch (error) {
        latest = undefined;
        if (!failing) log.warn("the health of services waits for the database", { error });
        failing = true;
      }
      await sleep(Math.max(0, EVERY_MS - (performance.now() - began)), undefined, { ref: false });
    }
    latest = undefined;
    running = false;
  }

  return {
    subscribe() {
      const subscriber = stream<HealthEvent>({
        limit: 1,
        full: (_, waiting) => waiting.splice(0, waiting.length - 1), // who is slow gets the newest
        ended: (it) => subscribers.delete(it),
      });
      subscribers.add(subscriber);
      if (latest) subscriber.push([latest]);
      if (!running) void run();
      return subscriber;
    },
    subscribers: () => subscribers.size,
    stop() {
      for (const subscriber of subscribers) subscriber.end();
    },
  };
}

/** As somebody without a token: whoever may subscribe may see it. */
async function read(pool: Pool): Promise<HealthRows> {
  const client = await pool.connect();
  let broken = true;
  try {
    await client.query("begin");
    for (const setting of Object.entries(pgSettings(undefined, "subscription")))
      await client.query("select set_config($1, $2, true)", setting);
    const { rows } = await client.query<{ rows: HealthRows }>(
      "select coalesce(json_agg(every_one order by service), '[]') as rows from analytics.service_health as every_one",
    );
    await client.query("commit");
    broken = false;
    return rows[0]!.rows;
  } finally {
    client.release(broken);
  }
}
