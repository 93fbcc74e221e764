-- The entry to the evaluation: once for a moment, one at a time. Then it collects the values of all metrics, and
-- internal.apply_alert_samples does the rest.
create or replace function analytics.evaluate_alert_rules(as_of timestamptz default clock_timestamp())
returns integer
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
  samples internal.metric_sample[];
begin
  if not pg_try_advisory_xact_lock(hashtextextended('analytics.evaluate_alert_rules', 0)) then
    return null;
  end if;
  update internal.alert_evaluation set evaluated_at = as_of where evaluated_at < as_of;
  if not found then
    return null;
  end if;

  samples := array(select sample from internal.custom_metric_samples(as_of) as sample);
  samples := samples || array(select sample from internal.builtin_metric_samples(as_of) as sample);
  return internal.apply_alert_samples(as_of, samples);
end;
$$;

comment on function analytics.evaluate_alert_rules(timestamptz) is
  'Brings all alerts to the state that the metrics of this moment ask for and returns the number of transitions. NULL when '
  'another one evaluates at the same time, or when as_of is not after the last evaluation, which never happens twice.';
