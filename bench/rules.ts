// One evaluation of 1, 100 and 10 000 rules on 100 and 1000 services with 1 500 events/s, a hundredth of the rules firing: what a
// second of alerting costs.

import { setTimeout as sleep } from "node:timers/promises";
import type { Sql } from "../src/db.ts";
import { type Figures, percentile, startStack } from "./stack.ts";

const SERVICES = [100, 1000];
const EVENTS = 500_000; // over the 330 s that the longest lookback and its edge need
const EVALUATIONS = 15;

/** Evaluates again and again; median and maximum in ms, as the worker sees them, for each number of rules and services. */
export async function benchRules(counts: number[]): Promise<Figures> {
  const stack = await startStack("rules");
  try {
    const figures: Figures = { servers: stack.where };
    for (const services of SERVICES) {
      for (const rules of counts) {
        await makeRules(stack.sql, rules);
        await makeEvents(stack.sql, services); // each time, since they grow old
        const { firing, took } = await evaluateOften(stack.sql);
        const name = `${rules} rules x ${services} services`;
        figures[`${name}, alerts`] = firing;
        figures[`${name}, median ms`] = Math.round(percentile(took, 0.5) * 10) / 10;
        figures[`${name}, maximum ms`] = Math.round(Math.max(...took) * 10) / 10;
      }
    }
    return figures;
  } finally {
    await stack.stop();
  }
}

/** Each hundredth service fails all the time. */
async function makeEvents(sql: Sql, services: number): Promise<void> {
  await sql`truncate analytics.events, analytics.services`;
  await sql`
    insert into analytics.events (time, service, level, latency_ms, user_id, source_ip, business_risk_score)
    select
      now() - random() * interval '330 s',
      'service-' || i % ${services},
      (case when i % ${services} % 100 = 0 or random() < 0.02 then 'error' else 'info' end)::analytics.event_level,
      exp(3 + random() * 4),
      'user-' || (random() * 10000)::integer,
      '10.0.0.0'::inet + (random() * 10000)::integer,
      random()
    from generate_series(1, ${EVENTS}) as i`;
  await sql`
    insert into analytics.services (service, first_seen, last_seen, known_since)
    select distinct service, now() - interval '330 s', now(), now() - interval '330 s' from analytics.events`;
  await sql`
    insert into internal.late_minutes (minute)
    select minute from generate_series(date_trunc('minute', now()) - interval '6 min', now(), '1 min') as minute`;
  await sql`call internal.refresh_rollups()`;
  await sql`analyze`;
}

async function makeRules(sql: Sql, rules: number): Promise<void> {
  await sql`truncate analytics.alert_rules, analytics.silences, analytics.alerts, analytics.alert_history`;
  await sql`
    insert into analytics.alert_rules (id, name, metric, operator, threshold, lookback, severity)
    select
      'rule-' || i,
      'Rule ' || i,
      case when i % 100 = 0 then 'error_rate' else (array['error_rate', 'error_count', 'total_requests', 'latency_p99'])[1 + i % 4] end,
      '>',
      case when i % 100 = 0 then 50 else 1e6 + i end,
      (array['30 s', '60 s', '300 s'])[1 + i % 3]::interval,
      'warning'
    from generate_series(1, ${rules}::integer) as i`;
}

/** The first evaluation, which begins the alerts, is not measured. */
async function evaluateOften(sql: Sql): Promise<{ firing: number; took: number[] }> {
  const took: number[] = [];
  for (let n = 0; n <= EVALUATIONS; n++) {
    await sql`call internal.refresh_rollups()`; // as the worker does each second
    const began = performance.now();
    await sql`select analytics.evaluate_alert_rules(as_of => clock_timestamp())`;
    took.push(performance.now() - began);
    await sleep(100);
  }
  const [open] = await sql<[{ count: number }]>`select count(*)::integer as count from analytics.active_alerts`;
  return { firing: open.count, took: took.slice(1) };
}
