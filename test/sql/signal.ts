// A metric whose values a test dictates: alert_metrics.signal gives what table public.signals has for the as_of of the evaluation.
// So that no test of alerts waits for a clock.

import type { Sql } from "../../src/db.ts";

export type Signal = { at: Date; service?: string; value: number | null };

/** Makes the metric, and takes the shipped rules away. */
export async function installSignal(sql: Sql): Promise<void> {
  await sql.unsafe(`
    create table public.signals (at timestamptz, service text, value double precision);
    create index on public.signals (at);
    create function alert_metrics.signal(lookback interval)
    returns table (service text, value double precision)
    language sql stable
    begin atomic
      select signals.service, signals.value
      from public.signals
      where signals.at = current_setting('stacklens.as_of')::timestamptz;
    end;
    delete from analytics.alert_rules;
  `);
}

/** Forgets all alerts, rules and evaluations. */
export async function resetAlerts(sql: Sql): Promise<void> {
  await sql.unsafe(`
    truncate public.signals, analytics.alerts, analytics.alert_history, analytics.alert_rules, analytics.silences,
      internal.alert_messages, internal.alert_metric_rests, analytics.services;
    update internal.alert_evaluation set evaluated_at = '-infinity';
  `);
}

export type Rule = Partial<{
  id: string;
  name: string;
  service: string;
  metric: string;
  operator: string;
  threshold: number;
  lookback: string;
  pending_period: string;
  keep_firing_for: string;
  min_requests: number;
  on_no_data: "keep" | "ok" | "alert";
  severity: "info" | "warning" | "critical";
}>;

/** Inserts rules on the signal, value > 0 at once, unless said otherwise. */
export async function insertRules(sql: Sql, ...rules: Rule[]): Promise<void> {
  const rows = rules.map((rule) => ({
    id: "rule",
    name: rule.id ?? "rule",
    metric: "signal",
    operator: ">",
    threshold: 0,
    lookback: "1 min",
    severity: "warning",
    ...rule,
  }));
  for (const row of rows) await sql`insert into analytics.alert_rules ${sql(row)}`;
}

/** Evaluates once, after saying what the signal is then. */
export async function evaluate(
  sql: Sql,
  at: Date,
  signals: Record<string, number | null> = {},
): Promise<number | null> {
  for (const [service, value] of Object.entries(signals))
    await sql`insert into public.signals (at, service, value) values (${at}, ${service}, ${value})`;
  const [row] = await sql<[{ changes: number | null }]>`
    select analytics.evaluate_alert_rules(as_of => ${at}) as changes`;
  return row.changes;
}

/** Everything that happened to alerts, in order, as text: "service: previous > status (reason)". */
export async function history(sql: Sql): Promise<string[]> {
  const rows = await sql`
    select service || ': ' || coalesce(previous_status::text, 'none') || ' > ' || status || ' (' || reason || ')' as line
    from analytics.alert_history order by id`;
  return rows.map((row) => row.line);
}

/** The messages that wait for Kafka, in order, as text: "event key". */
export async function messages(sql: Sql): Promise<string[]> {
  const rows =
    await sql`select (message::jsonb ->> 'event') || ' ' || key as line from internal.alert_messages order by id`;
  return rows.map((row) => row.line);
}
