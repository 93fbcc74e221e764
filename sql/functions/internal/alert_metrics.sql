-- The one registry of what a rule can measure: the built-in metrics, and the functions of schema alert_metrics.
create or replace function internal.alert_metrics()
returns table (
  name text,
  builtin boolean,
  usable boolean,
  takes_as_of boolean
)
language sql
stable
parallel unsafe
begin atomic
  with builtin as (
    select unnest(array[
      'error_rate', 'error_count', 'total_requests', 'throughput', 'latency_p50', 'latency_p95', 'latency_p99',
      'latency_mean', 'latency_max', 'avg_risk_score', 'high_risk_count', 'unique_users'
    ]) as name
  )
  select builtin.name, true, true, true
  from builtin
  union all
  select
    custom.proname::text,
    false,
    bool_or(forms.plain or forms.with_as_of),
    bool_or(forms.with_as_of)
  from pg_proc as custom
  cross join lateral (
    select
      array['interval'::regtype, 'text'::regtype, 'double precision'::regtype]::oid[] as plain,
      array['interval'::regtype, 'timestamptz'::regtype, 'text'::regtype, 'double precision'::regtype]::oid[] as with_as_of
  ) as types
  cross join lateral (
    select
      custom.proretset and custom.proallargtypes = types.plain and custom.proargmodes = '{i,t,t}'::"char"[] as plain,
      custom.proretset and custom.proallargtypes = types.with_as_of and custom.proargmodes = '{i,i,t,t}'::"char"[] as with_as_of
  ) as forms
  where custom.pronamespace = 'alert_metrics'::regnamespace
    and custom.proname not in (select builtin.name from builtin)
  group by custom.proname;
end;

comment on function internal.alert_metrics() is
  'The metrics that alert rules can name: built-in ones, and functions in schema alert_metrics; usable says that the function has '
  'the form <name>(lookback interval) returns table (service text, value double precision), takes_as_of that it has a second argument '
  'as_of timestamptz. A built-in name cannot be taken over.';
