-- Ranked at read time over the exact last hour.
create or replace view analytics.slowest_services as
select
  rank() over (order by latency_p95 desc) as rank,
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
where latency_p95 is not null
order by latency_p95 desc, service;

comment on view analytics.slowest_services is 'Services of the last hour, the highest 95th percentile of the latency first.';
comment on column analytics.slowest_services.rank is 'Place, a number from 1; equal values share one.';
comment on column analytics.slowest_services.service is 'Name of the service.';
comment on column analytics.slowest_services.total_requests is 'Events in the last hour.';
comment on column analytics.slowest_services.failed_requests is 'Events with level error or critical in the last hour.';
comment on column analytics.slowest_services.error_rate is 'Failed requests in percent of all, 0..100.';
comment on column analytics.slowest_services.latency_p50 is 'Median latency in ms, within 2 %; null without latencies.';
comment on column analytics.slowest_services.latency_p95 is '95th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.slowest_services.latency_p99 is '99th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.slowest_services.latency_mean is 'Mean latency in ms; null without latencies.';
comment on column analytics.slowest_services.latency_max is 'Largest latency in ms, exact; null without latencies.';
