-- The whole range as one row a service, merged from sums, histograms and sketches.
create or replace function analytics.service_summary(
  since timestamptz default now() - interval '24 hours',
  until timestamptz default now()
)
returns table (
  service text,
  total_requests bigint,
  successful_requests bigint,
  failed_requests bigint,
  error_rate double precision,
  throughput double precision,
  latency_min double precision,
  latency_p50 double precision,
  latency_p95 double precision,
  latency_p99 double precision,
  latency_max double precision,
  latency_mean double precision,
  unique_users bigint,
  unique_ips bigint,
  avg_risk_score double precision,
  high_risk_count bigint
)
language sql
stable
parallel unsafe
begin atomic
  select
    m.service,
    m.total_requests,
    m.successful_requests,
    m.failed_requests,
    m.error_rate,
    m.total_requests / nullif(extract(epoch from until - since), 0)::double precision,
    m.latency_min,
    m.latency_p50,
    m.latency_p95,
    m.latency_p99,
    m.latency_max,
    m.latency_mean,
    m.unique_users,
    m.unique_ips,
    m.avg_risk_score,
    m.high_risk_count
  from internal.window_metrics(since, until) as m
  order by m.service;
end;

comment on function analytics.service_summary(timestamptz, timestamptz) is
  'One row for each service with events in [since, until): counts, rates (percent), throughput (events per second), latencies (ms), '
  'distinct users and addresses. Exact to the event while raw events are kept, to the finest kept bucket after that.';
