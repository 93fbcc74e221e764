-- The whole range as one row a service, merged from sums, histograms and sketches.
create or replace function analytics.service_summary(
  since timestamptz default now() - interval '24 hours',
  until timestamptz default now()
)
returns setof analytics.service_metrics
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
  'Metrics over a range, one row for each service with events in it. Exact to the event while raw events are kept, to the finest '
  'kept bucket after that.
- since: Start of the range, included; by default 24 hours ago.
- until: End of the range, not included; by default now.';
