-- The built-in metrics that enabled rules use, each lookback computed once however many rules share it.
create or replace function internal.builtin_metric_samples(as_of timestamptz)
returns setof internal.metric_sample
language sql
stable
begin atomic
  with used as materialized (
    select
      rules.lookback,
      array_agg(distinct rules.metric) as metrics,
      array_agg(distinct rules.service) filter (where rules.service <> '*') as named
    from analytics.alert_rules as rules
    join internal.alert_metrics() as metrics on metrics.name = rules.metric and metrics.builtin
    where rules.enabled
    group by rules.lookback
  ),
  windows as materialized (
    select used.lookback, measured.*
    from used
    cross join lateral internal.window_metrics(as_of - used.lookback, as_of) as measured
  ),
  services as (
    select lookback, service, bool_or(known) as known
    from (
      select windows.lookback, windows.service, true as known from windows
      union all
      select used.lookback, known.service, true from used cross join internal.known_services(as_of) as known
      union all
      select used.lookback, unnest(used.named), false from used
    ) as listed
    group by lookback, service
  )
  select
    sample.metric,
    used.lookback,
    services.service,
    sample.value,
    -- a count is true for any number of requests, so min_requests does not apply to it
    case when not sample.counts then coalesce(windows.total_requests, 0) end,
    services.known
  from services
  join used on used.lookback = services.lookback
  left join windows on windows.lookback = services.lookback and windows.service = services.service
  cross join lateral (
    values
      ('error_rate', windows.error_rate, false),
      ('error_count', coalesce(windows.failed_requests, 0), true),
      ('total_requests', coalesce(windows.total_requests, 0), true),
      ('throughput', coalesce(windows.total_requests, 0) / extract(epoch from used.lookback)::double precision, true),
      ('latency_p50', windows.latency_p50, false),
      ('latency_p95', windows.latency_p95, false),
      ('latency_p99', windows.latency_p99, false),
      ('latency_mean', windows.latency_mean, false),
      ('latency_max', windows.latency_max, false),
      ('avg_risk_score', windows.avg_risk_score, false),
      ('high_risk_count', coalesce(windows.high_risk_count, 0), true),
      ('unique_users', coalesce(windows.unique_users, 0), true)
  ) as sample (metric, value, counts)
  where sample.metric = any (used.metrics);
end;

comment on function internal.builtin_metric_samples(timestamptz) is
  'Value of every built-in metric that enabled rules use, over each of their lookbacks before as_of, for all known services and '
  'those that rules name. A silent service has counts of 0 and NULL for everything else.';
