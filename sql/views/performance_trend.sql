-- Each bucket beside the one before it. The range is bounded, so that a look at it stays cheap.
create or replace view analytics.performance_trend as
select
  bucket,
  service,
  total_requests,
  error_rate,
  latency_p50,
  latency_p95,
  latency_p99,
  latency_mean,
  total_requests - lag(total_requests) over previous as total_requests_change,
  error_rate - lag(error_rate) over previous as error_rate_change,
  latency_p95 - lag(latency_p95) over previous as latency_p95_change
from analytics.metrics_5min
where bucket > now() - interval '24 hours'
window previous as (partition by service order by bucket);

comment on view analytics.performance_trend is
  'Metrics of the last 24 hours in buckets of 5 minutes, with the change against the bucket before of the same service.';
comment on column analytics.performance_trend.bucket is 'Start of the bucket.';
comment on column analytics.performance_trend.service is 'Name of the service.';
comment on column analytics.performance_trend.total_requests is 'Events in the bucket.';
comment on column analytics.performance_trend.error_rate is 'Failed requests in percent of all, 0..100.';
comment on column analytics.performance_trend.latency_p50 is 'Median latency in ms, within 2 %; null without latencies.';
comment on column analytics.performance_trend.latency_p95 is '95th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.performance_trend.latency_p99 is '99th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.performance_trend.latency_mean is 'Mean latency in ms; null without latencies.';
comment on column analytics.performance_trend.total_requests_change is
  'Events more or less than in the bucket before; null in the first bucket.';
comment on column analytics.performance_trend.error_rate_change is
  'Percentage points more or less than in the bucket before; null in the first bucket.';
comment on column analytics.performance_trend.latency_p95_change is
  'Change of the 95th percentile of the latency in ms against the bucket before; null in the first bucket, or without '
  'latencies.';
