-- The one place where sums become metrics over an arbitrary range; views, summaries, SLA and alert rules all read it.
-- The bins of all histograms are added in one grouping: 20 times faster than adding arrays one by one.
-- Definer: everybody may know these figures, but not the sketches and events that they come from.
create or replace function internal.window_metrics(since timestamptz, until timestamptz, of_service text default null)
returns table (
  service text,
  total_requests bigint,
  successful_requests bigint,
  failed_requests bigint,
  error_rate double precision,
  latency_count bigint,
  latency_min double precision,
  latency_p50 double precision,
  latency_p95 double precision,
  latency_p99 double precision,
  latency_max double precision,
  latency_mean double precision,
  unique_users bigint,
  unique_ips bigint,
  risk_count bigint,
  avg_risk_score double precision,
  high_risk_count bigint
)
language sql
stable
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
set jit = off -- the planner takes it for costly: 30 ms of compiling for 10 ms of work
begin atomic
  with parts as materialized (
    select * from internal.window_rows(since, until, of_service)
  ),
  sums as (
    select
      parts.service,
      sum(parts.total_requests)::bigint as total_requests,
      sum(parts.failed_requests)::bigint as failed_requests,
      sum(parts.latency_count)::bigint as latency_count,
      sum(parts.latency_sum) as latency_sum,
      min(parts.latency_min) as latency_min,
      max(parts.latency_max) as latency_max,
      internal.sketch_estimate(bit_or(parts.users)) as unique_users,
      internal.sketch_estimate(bit_or(parts.ips)) as unique_ips,
      sum(parts.risk_count)::bigint as risk_count,
      sum(parts.risk_sum) as risk_sum,
      sum(parts.high_risk_count)::bigint as high_risk_count
    from parts
    group by parts.service
  ),
  bins as (
    select parts.service, bin, sum(sum(count)) over (partition by parts.service order by bin) as up_to
    from parts, unnest(parts.latency_histogram) with ordinality as histogram (count, bin)
    where count > 0
    group by parts.service, bin
  ),
  percentile_bins as (
    select
      bins.service,
      min(bin) filter (where up_to >= 0.5 * latency_count) as p50,
      min(bin) filter (where up_to >= 0.95 * latency_count) as p95,
      min(bin) filter (where up_to >= 0.99 * latency_count) as p99
    from bins
    join sums on sums.service = bins.service
    group by bins.service
  )
  select
    sums.service,
    sums.total_requests,
    sums.total_requests - sums.failed_requests,
    sums.failed_requests,
    internal.error_rate(sums.failed_requests, sums.total_requests),
    sums.latency_count,
    sums.latency_min,
    internal.histogram_bin_middle(p50, sums.latency_min, sums.latency_max),
    internal.histogram_bin_middle(p95, sums.latency_min, sums.latency_max),
    internal.histogram_bin_middle(p99, sums.latency_min, sums.latency_max),
    sums.latency_max,
    sums.latency_sum / nullif(sums.latency_count, 0),
    sums.unique_users,
    sums.unique_ips,
    sums.risk_count,
    sums.risk_sum / nullif(sums.risk_count, 0),
    sums.high_risk_count
  from sums
  left join percentile_bins on percentile_bins.service = sums.service;
end;

comment on function internal.window_metrics(timestamptz, timestamptz, text) is
  'Metrics of one service or (NULL) of every one with events in [since, until); as exact as internal.window_rows. Rates in percent, '
  'latencies in ms.';

revoke all on function internal.window_metrics(timestamptz, timestamptz, text) from public;
