// What grows with history and with services, and what does not: the size of events and roll-ups, the refresh, the reads of a
// dashboard and the evaluation of rules, with 1, 7 and 30 days of history, on few and on many services.

import type { Sql } from "../src/db.ts";
import { makeEvents } from "./events.ts";
import { READS } from "./rollups.ts";
import { type Figures, percentile, startStack } from "./stack.ts";
import { noteServices, storeEvents } from "./store.ts";

const DAYS = [1, 7, 30];
const FEW = 10;
const EVENTS_A_MINUTE = 100_000; // the same for few and many services
const TRIES = 5;
const MAX_ROWS = 250_000; // of one level: what a level holds of many services beyond that is left out

/** Measures on 10 services and on so many. */
export async function benchGrowth(services: number): Promise<Figures> {
  return { ...(await storage()), ...(await grow(FEW)), ...(await grow(services)) };
}

/** Bytes an event: one million events in an hour, in rows and in the columnstore; and a row of each level. */
async function storage(): Promise<Figures> {
  const events = 1_000_000;
  const stack = await startStack("storage");
  const { sql } = stack;
  try {
    const hour = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 3 * 3_600_000;
    let json = 0;
    const counted = (function* () {
      for (const event of makeEvents(events, hour + 3_600_000, 3_600)) {
        json += Buffer.byteLength(event);
        yield event;
      }
    })();
    await storeEvents(sql, counted);
    await noteServices(sql);
    await sql`
      insert into internal.late_minutes (minute) select minute from generate_series(${new Date(hour)}, ${new Date(hour + 3_599_999)}, interval '1 min') as minute`;
    await sql`call internal.refresh_rollups()`;
    const [raw] = await sql`select hypertable_size('analytics.events')::float8 as bytes`;
    await sql`select compress_chunk(chunk) from show_chunks('analytics.events') as chunk`;
    const [columnstore] = await sql`select hypertable_size('analytics.events')::float8 as bytes`;
    const figures: Figures = {
      servers: stack.where,
      "bytes an event, JSON": Math.round(json / events),
      "bytes an event, raw rows and their indexes": Math.round(raw!.bytes / events),
      "bytes an event, columnstore": Math.round((columnstore!.bytes / events) * 10) / 10,
    };
    for (const { name, hypertable } of await levels(sql)) {
      const [size] = await sql`
        select hypertable_size(${hypertable}::regclass)::float8 as bytes, (select count(*)::float8 from ${sql.unsafe(hypertable)}) as rows`;
      figures[`bytes a row, level ${name}`] = Math.round(size!.bytes / size!.rows);
      figures[`bytes an event, level ${name}`] = Math.round((size!.bytes / events) * 100) / 100;
    }
    return figures;
  } finally {
    await stack.stop();
  }
}

async function grow(services: number): Promise<Figures> {
  const stack = await startStack("growth");
  const { sql } = stack;
  const figures: Figures = {};
  try {
    // The pattern lies in the last whole hour, so that each level has it.
    const minute = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 60_000;
    await storeEvents(sql, makeEvents(EVENTS_A_MINUTE, minute + 60_000, 60, 1, services));
    await noteServices(sql);
    await sql`insert into internal.late_minutes (minute) values (${new Date(minute)})`;
    await sql`call internal.refresh_rollups()`;
    for (const days of DAYS) {
      const rows = await fillHistory(sql, days);
      await storeEvents(sql, makeEvents(EVENTS_A_MINUTE, Date.now(), 60, days, services)); // the newest minute grows old meanwhile
      await sql`call internal.refresh_rollups()`;
      await sql`analyze`;
      const at = `${services} services, ${days} days`;
      console.error(`${at}: ${rows} rows`);
      figures[`rows of roll-ups, ${at}`] = rows;
      for (const [what, statement] of Object.entries({
        "refresh with nothing new": "call internal.refresh_rollups()",
        "evaluation of the shipped rules": "select analytics.evaluate_alert_rules(clock_timestamp())",
        ...Object.fromEntries(Object.entries(READS).map(([name, query]) => [`reading ${name}`, query])),
      })) {
        const took: number[] = [];
        for (let n = 0; n <= TRIES; n++) {
          const began = performance.now();
          await sql.unsafe(statement, [], { prepare: true });
          if (n > 0) took.push(performance.now() - began); // the first one plans and reads the catalogs
        }
        figures[`${what}, ${at}, ms`] = Math.round(percentile(took, 0.5) * 10) / 10;
      }
    }
    return figures;
  } finally {
    await stack.stop();
  }
}

async function levels(sql: Sql): Promise<{ name: string; hypertable: string; columns: string; buckets: string }[]> {
  return sql`
    select
      rollups.name,
      format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name) as hypertable,
      (
        select string_agg(quote_ident(attname), ', ' order by attnum)
        from pg_attribute
        where attrelid = format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)::regclass
          and attnum > 0 and attname <> 'bucket'
      ) as columns
    from internal.rollups
    join timescaledb_information.continuous_aggregates as aggregates
      on format('%I.%I', view_schema, view_name)::regclass = relation
    order by place`;
}

/** Repeats what each level has of the pattern's time back to its retention, at most so many days; the answer is the rows there are. */
async function fillHistory(sql: Sql, days: number): Promise<number> {
  let rows = 0;
  for (const { name, hypertable, columns } of await levels(sql)) {
    await sql.unsafe(`
      with level as (
        select
          greatest(width, interval '1 minute') as span,
          least(keep, interval '${days} days') - interval '1 hour' as history,
          (select min(bucket) from ${hypertable}) as oldest,
          (select max(bucket) from ${hypertable} where bucket < date_trunc('hour', now())) as newest
        from internal.rollups
        join internal.retention_relations using (relation)
        join analytics.retention using (tier)
        where name = '${name}'
      ),
      pattern as materialized (
        select hypertable.* from ${hypertable} as hypertable, level where bucket > newest - span and bucket <= newest
      )
      insert into ${hypertable} (bucket, ${columns})
      select bucket - n * span, ${columns}
      from
        level,
        generate_series(1, least(
          extract(epoch from history) / extract(epoch from span), ${MAX_ROWS} / (select greatest(count(*), 1) from pattern)
        )::integer) as n,
        pattern
      where bucket - n * span < oldest`);
    const [{ count }] = await sql.unsafe<[{ count: number }]>(`select count(*)::integer from ${hypertable}`);
    rows += count;
  }
  return rows;
}
