-- Ranked at read time over the exact last hour.
create or replace view analytics.top_error_services as
select
  rank() over (order by failed_requests desc) as rank,
  service,
  total_requests,
  failed_requests,
  error_rate,
  latency_p50,
  latency_p95,
  latency_p99,
  latency_mean,
  latency_max
from internal.window_metrics(now() - interval '1 hour', now())
where failed_requests > 0
order by failed_requests desc, service;

comment on view analytics.top_error_services is 'Services of the last hour that failed, most failed requests first.';
comment on column analytics.top_error_services.rank is 'Place, a number from 1; equal values share one.';
comment on column analytics.top_error_services.service is 'Name of the service.';
comment on column analytics.top_error_services.total_requests is 'Events in the last hour.';
comment on column analytics.top_error_services.failed_requests is 'Events with level error or critical in the last hour.';
comment on column analytics.top_error_services.error_rate is 'Failed requests in percent of all, 0..100.';
comment on column analytics.top_error_services.latency_p50 is 'Median latency in ms, within 2 %; null without latencies.';
comment on column analytics.top_error_services.latency_p95 is '95th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.top_error_services.latency_p99 is '99th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.top_error_services.latency_mean is 'Mean latency in ms; null without latencies.';
comment on column analytics.top_error_services.latency_max is 'Largest latency in ms, exact; null without latencies.';
