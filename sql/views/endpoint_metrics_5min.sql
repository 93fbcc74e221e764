-- The stable face of the versioned continuous aggregate: internals stay behind, sums become rates.
create or replace view analytics.endpoint_metrics_5min as
select
  bucket,
  service,
  endpoint,
  total_requests,
  total_requests - failed_requests as successful_requests,
  failed_requests,
  internal.error_rate(failed_requests, total_requests) as error_rate,
  latency_min,
  latency_percentiles[1] as latency_p50,
  latency_percentiles[2] as latency_p95,
  latency_percentiles[3] as latency_p99,
  latency_max,
  latency_sum / nullif(latency_count, 0) as latency_mean,
  unique_users,
  unique_ips,
  risk_sum / nullif(risk_count, 0) as avg_risk_score,
  high_risk_count
from internal.endpoint_metrics_5min_v1;

comment on view analytics.endpoint_metrics_5min is
  'Metrics of each service and endpoint in buckets of 5 minutes, up to the last committed event.';
comment on column analytics.endpoint_metrics_5min.bucket is 'Start of the bucket.';
comment on column analytics.endpoint_metrics_5min.service is 'Name of the service.';
comment on column analytics.endpoint_metrics_5min.endpoint is 'Route or operation.';
comment on column analytics.endpoint_metrics_5min.total_requests is 'Events in the bucket.';
comment on column analytics.endpoint_metrics_5min.successful_requests is 'Events in the bucket that did not fail.';
comment on column analytics.endpoint_metrics_5min.failed_requests is 'Events in the bucket with level error or critical.';
comment on column analytics.endpoint_metrics_5min.error_rate is 'Failed requests in percent of all, 0..100.';
comment on column analytics.endpoint_metrics_5min.latency_min is 'Smallest latency in ms, exact; null without latencies.';
comment on column analytics.endpoint_metrics_5min.latency_p50 is 'Median latency in ms, within 2 %; null without latencies.';
comment on column analytics.endpoint_metrics_5min.latency_p95 is '95th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.endpoint_metrics_5min.latency_p99 is '99th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.endpoint_metrics_5min.latency_max is 'Largest latency in ms, exact; null without latencies.';
comment on column analytics.endpoint_metrics_5min.latency_mean is 'Mean latency in ms; null without latencies.';
comment on column analytics.endpoint_metrics_5min.unique_users is 'Distinct users, standard error 1.5 %.';
comment on column analytics.endpoint_metrics_5min.unique_ips is 'Distinct source addresses, standard error 1.5 %.';
comment on column analytics.endpoint_metrics_5min.avg_risk_score is 'Mean business risk score, 0..1; null when no event had one.';
comment on column analytics.endpoint_metrics_5min.high_risk_count is 'Events with a business risk score above 0.7.';
