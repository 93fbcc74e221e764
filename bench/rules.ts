// One evaluation of 10 000 rules on 100 services with 1 500 events/s, a hundredth of the rules firing: what a second of alerting costs.

import { setTimeout as sleep } from "node:timers/promises";
import { percentile, startStack } from "./stack.ts";

const SERVICES = 100;
const EVENTS = 500_000; // over the 330 s that the longest lookback and its edge need

/** Evaluates again and again; median and maximum in ms, as the worker sees them. */
export async function benchRules(rules: number): Promise<Record<string, string | number>> {
  const stack = await startStack("rules");
  const { sql } = stack;
  try {
    await sql`
      insert into analytics.events (time, service, level, latency_ms, user_id, source_ip, business_risk_score)
      select
        now() - random() * interval '330 s',
        'service-' || i % ${SERVICES},
        (case when i % ${SERVICES} = 0 or random() < 0.02 then 'error' else 'info' end)::analytics.event_level,
        exp(3 + random() * 4),
        'user-' || (random() * 10000)::integer,
        '10.0.0.0'::inet + (random() * 10000)::integer,
        random()
      from generate_series(1, ${EVENTS}) as i`;
    await sql`
      insert into analytics.services (service, first_seen, last_seen, known_since)
      select distinct service, now() - interval '330 s', now(), now() - interval '330 s' from analytics.events`;
    await sql`delete from analytics.alert_rules`;
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
    await sql`call internal.refresh_rollups()`;
    await sql`analyze`;

    const took: number[] = [];
    let transitions = 0;
    for (let n = 0; n < 20; n++) {
      await sql`call internal.refresh_rollups()`; // as the worker does each second
      const began = performance.now();
      const [row] = await sql`select analytics.evaluate_alert_rules(as_of => clock_timestamp()) as changes`;
      took.push(performance.now() - began);
      transitions += row?.changes;
      await sleep(100);
    }
    const [open] = await sql`select count(*)::integer as count from analytics.active_alerts`;
    return {
      servers: stack.where,
      rules,
      services: SERVICES,
      "alerts that fire": open?.count,
      transitions,
      "first, ms": Math.round(took[0]!),
      "median, ms": Math.round(percentile(took, 0.5)),
      "maximum after the first, ms": Math.round(Math.max(...took.slice(1))),
    };
  } finally {
    await stack.stop();
  }
}
