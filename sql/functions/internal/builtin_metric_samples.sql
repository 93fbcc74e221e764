-- The built-in metrics that enabled rules use, each lookback computed once however many rules share it. The meaning is that of
-- internal.window_metrics, and a test holds them to agree; what is not used is not computed, which is most of the cost.
-- Percentiles are the dearest (0.1 ms each), and a percentile is never above the maximum: where the maximum is below every
-- threshold and no alert is open, it stands in for them.
create or replace function internal.builtin_metric_samples(as_of timestamptz)
returns setof internal.metric_sample
language sql
stable
parallel unsafe
begin atomic
  with used as materialized (
    select
      rules.lookback,
      array_agg(distinct rules.metric) as metrics,
      array_agg(distinct rules.service) filter (where rules.service <> '*') as named,
      min(case when rules.operator in ('>', '>=') then rules.threshold else '-infinity' end)
        filter (where starts_with(rules.metric, 'latency_p')) as percentiles_matter_from
    from analytics.alert_rules as rules
    join internal.alert_metrics() as metrics on metrics.name = rules.metric and metrics.builtin
    where rules.enabled
    group by rules.lookback
  ),
  parts as materialized (
    select
      lookback, service, total_requests, failed_requests, latency_count, latency_sum, latency_min, latency_max,
      risk_count, risk_sum, high_risk_count,
      -- of 402 bins those in use: the rest would be most of what is written to temporary files with 1000 services
      internal.latency_histogram_bin(latency_min) as first_bin,
      latency_histogram[internal.latency_histogram_bin(latency_min):internal.latency_histogram_bin(latency_max)] as used_bins
    from internal.alert_window_rows(as_of, array(select lookback from used))
  ),
  sums as materialized (
    select
      row_number() over () as place, -- to group and sort by, which is slow by text
      lookback,
      service,
      sum(total_requests)::bigint as total_requests,
      sum(failed_requests)::bigint as failed_requests,
      sum(latency_count)::bigint as latency_count,
      sum(latency_sum) as latency_sum,
      min(latency_min) as latency_min,
      max(latency_max) as latency_max,
      sum(risk_count)::bigint as risk_count,
      sum(risk_sum) as risk_sum,
      sum(high_risk_count)::bigint as high_risk_count
    from parts
    group by lookback, service
  ),
  watched as materialized (
    select distinct lookback, service
    from analytics.alerts
    where status <> 'resolved' and starts_with(metric, 'latency_p')
  ),
  bins as (
    select
      sums.place,
      first_bin + ordinality - 1 as bin,
      sum(sum(count)) over (partition by sums.place order by first_bin + ordinality) as up_to
    from sums
    join used on used.lookback = sums.lookback
    join parts on parts.lookback = sums.lookback and parts.service = sums.service
    cross join unnest(parts.used_bins) with ordinality as histogram (count, ordinality)
    where count > 0
      and (sums.latency_max >= used.percentiles_matter_from or (sums.lookback, sums.service) in (select * from watched))
    group by sums.place, first_bin + ordinality
  ),
  percentile_bins as (
    select
      sums.place,
      min(bin) filter (where up_to >= 0.5 * latency_count) as p50,
      min(bin) filter (where up_to >= 0.95 * latency_count) as p95,
      min(bin) filter (where up_to >= 0.99 * latency_count) as p99
    from bins
    join sums on sums.place = bins.place
    group by sums.place
  ),
  users as (
    select used.lookback, measured.service, measured.unique_users
    from used
    cross join lateral internal.window_metrics(as_of - used.lookback, as_of) as measured
    where 'unique_users' = any (used.metrics)
  ),
  services as (
    select lookback, service, bool_or(known) as known, bool_or(whole) as whole
    from (
      select sums.lookback, sums.service, true as known, false as whole from sums
      union all
      select used.lookback, known.service, true, known.known_since <= as_of - used.lookback
      from used
      cross join internal.known_services(as_of) as known
      union all
      select used.lookback, unnest(used.named), false, false from used
    ) as listed
    group by lookback, service
  )
  select
    sample.metric,
    used.lookback,
    services.service,
    sample.value,
    -- a count is true for any number of requests, so min_requests does not apply to it
    case when not sample.counts then coalesce(sums.total_requests, 0) end,
    services.known,
    services.whole or not sample.counts
  from services
  join used on used.lookback = services.lookback
  left join sums on sums.lookback = services.lookback and sums.service = services.service
  left join percentile_bins on percentile_bins.place = sums.place
  left join users on users.lookback = services.lookback and users.service = services.service
  cross join lateral (
    values
      ('error_rate', internal.error_rate(sums.failed_requests, sums.total_requests), false),
      ('error_count', coalesce(sums.failed_requests, 0), true),
      ('total_requests', coalesce(sums.total_requests, 0), true),
      ('throughput', coalesce(sums.total_requests, 0) / extract(epoch from used.lookback)::double precision, true),
      ('latency_p50', coalesce(internal.histogram_bin_middle(p50, latency_min, latency_max), latency_max), false),
      ('latency_p95', coalesce(internal.histogram_bin_middle(p95, latency_min, latency_max), latency_max), false),
      ('latency_p99', coalesce(internal.histogram_bin_middle(p99, latency_min, latency_max), latency_max), false),
      ('latency_mean', sums.latency_sum / nullif(sums.latency_count, 0), false),
      ('latency_max', sums.latency_max, false),
      ('avg_risk_score', sums.risk_sum / nullif(sums.risk_count, 0), false),
      ('high_risk_count', coalesce(sums.high_risk_count, 0), true),
      ('unique_users', coalesce(users.unique_users, 0), true)
  ) as sample (metric, value, counts)
  where sample.metric = any (used.metrics);
end;

comment on function internal.builtin_metric_samples(timestamptz) is
  'Value of every built-in metric that enabled rules use, over each of their lookbacks before as_of, for all known services and '
  'those that rules name. A silent service has counts of 0 and NULL for everything else.';
