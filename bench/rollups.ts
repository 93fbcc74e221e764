// What the roll-ups cost: refreshing a minute that holds 100 000 events, level by level and as the worker does it; and reading at
// each level while 10 000 events a second come in.

import { setTimeout as sleep } from "node:timers/promises";
import type { Sql } from "../src/db.ts";
import { makeEvents } from "./events.ts";
import { type Figures, percentile, type Stack, startStack } from "./stack.ts";
import { noteServices, storeEvents } from "./store.ts";

const EVENTS = 100_000;
const TRIES = 5;
const LOAD = 10_000;
const REST_MS = 200;

/** What a dashboard reads at each level: one service over the range that the level is for. */
export const READS = {
  "service_health, all services": "select * from analytics.service_health",
  "metrics_1min, last hour":
    "select * from analytics.metrics_1min where service = 'service-00' and bucket > now() - interval '1 hour'",
  "metrics_5min, last day":
    "select * from analytics.metrics_5min where service = 'service-00' and bucket > now() - interval '1 day'",
  "metrics_1hour, last week":
    "select * from analytics.metrics_1hour where service = 'service-00' and bucket > now() - interval '7 days'",
  "service_summary, last hour": "select * from analytics.service_summary(now() - interval '1 hour')",
};

/** Reads for so many seconds under load. */
export async function benchRollups(seconds: number): Promise<Figures> {
  const stack = await startStack("rollups");
  try {
    return { servers: stack.where, ...(await refreshes(stack)), ...(await reads(stack, seconds)) };
  } finally {
    await stack.stop();
  }
}

async function refreshes({ sql }: Stack): Promise<Figures> {
  const minute = Math.floor(Date.now() / 60_000) * 60_000 - 10 * 60_000;
  await storeEvents(sql, makeEvents(EVENTS, minute + 60_000, 60));
  await noteServices(sql);
  await sql`vacuum analyze analytics.events`;
  const stale = () => sql`insert into internal.late_minutes (minute) values (${new Date(minute)})`;
  await stale();
  await sql`call internal.refresh_rollups()`;

  const figures: Figures = {};
  const session = await sql.reserve();
  // As internal.refresh_rollups has it while it refreshes.
  await session.unsafe("set enable_sort = off; set work_mem = '64MB'; set jit = off");
  const levels = await sql`
    select name, relation::text, bucket::text as since, (bucket + span)::text as until
    from
      internal.rollups,
      greatest(width, interval '1 minute') as span,
      date_bin(span, ${new Date(minute)}, '2000-01-01 00:00:00+00') as bucket
    order by place`;
  for (const { name, relation, since, until } of levels) {
    const took = await times(TRIES, async () => {
      const began = performance.now();
      await session`
        call public.refresh_continuous_aggregate(${relation}::regclass, ${since}::timestamptz, ${until}::timestamptz, force => true)`;
      return performance.now() - began;
    });
    figures[`refresh of a minute with ${EVENTS} events, level ${name}, ms`] = Math.round(percentile(took, 0.5));
  }

  session.release();

  const all = await times(TRIES, async () => {
    await touchAll(sql);
    await stale();
    const began = performance.now();
    await sql`call internal.refresh_rollups()`;
    return performance.now() - began;
  });
  figures[`refresh of a minute with ${EVENTS} events, all levels by the worker, ms`] = Math.round(percentile(all, 0.5));
  return figures;
}

/** Has TimescaleDB take every event as changed: a transaction leaves the range between its first and its last change. */
async function touchAll(sql: Sql): Promise<void> {
  await sql`
    update analytics.events set error_count = error_count
    where time in (select min(time) from analytics.events union select max(time) from analytics.events)`;
}

async function reads(stack: Stack, seconds: number): Promise<Figures> {
  stack.start("ingest/main.ts");
  stack.start("tasks/main.ts");
  const stopLoad = stack.load(LOAD);
  await sleep(10_000); // group joins, the load runs evenly
  const took = new Map<string, number[]>(Object.keys(READS).map((name) => [name, []]));
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(REST_MS))
    for (const [name, query] of Object.entries(READS)) {
      const began = performance.now();
      await stack.sql.unsafe(query, [], { prepare: true });
      took.get(name)!.push(performance.now() - began);
    }
  await stopLoad();
  const figures: Figures = {};
  for (const [name, values] of took)
    for (const [label, fraction] of [
      ["median", 0.5],
      ["p99", 0.99],
    ] as const)
      figures[`reading ${name}, at ${LOAD} events/s, ${label}, ms`] =
        Math.round(percentile(values, fraction) * 10) / 10;
  return figures;
}

async function times(count: number, measure: () => Promise<number>): Promise<number[]> {
  const took: number[] = [];
  for (let n = 0; n < count; n++) took.push(await measure());
  return took;
}
