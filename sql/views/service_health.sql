-- Known services rather than those with events: a service that fell silent is what one looks for.
create or replace view analytics.service_health as
select
  services.service,
  internal.health(metrics.total_requests, metrics.error_rate, metrics.latency_p99) as health,
  coalesce(metrics.total_requests, 0) as total_requests,
  coalesce(metrics.failed_requests, 0) as failed_requests,
  metrics.error_rate,
  metrics.latency_p50,
  metrics.latency_p95,
  metrics.latency_p99,
  metrics.latency_mean,
  coalesce(metrics.unique_users, 0) as unique_users,
  coalesce(metrics.high_risk_count, 0) as high_risk_count,
  services.last_seen
from analytics.services
left join internal.window_metrics(now() - interval '1 minute', now()) as metrics using (service)
where services.last_seen > now() - interval '1 day';

comment on view analytics.service_health is 'Health of every service seen in the last day, over the last minute.';
comment on column analytics.service_health.service is 'Name of the service.';
comment on column analytics.service_health.health is 'Health over the last minute; null without events in it.';
comment on column analytics.service_health.total_requests is 'Events in the last minute.';
comment on column analytics.service_health.failed_requests is 'Events with level error or critical in the last minute.';
comment on column analytics.service_health.error_rate is 'Failed requests in percent of all, 0..100; null without events.';
comment on column analytics.service_health.latency_p50 is 'Median latency in ms, within 2 %; null without latencies.';
comment on column analytics.service_health.latency_p95 is '95th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.service_health.latency_p99 is '99th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.service_health.latency_mean is 'Mean latency in ms; null without latencies.';
comment on column analytics.service_health.unique_users is 'Distinct users in the last minute, standard error 1.5 %.';
comment on column analytics.service_health.high_risk_count is 'Events with a business risk score above 0.7 in the last minute.';
comment on column analytics.service_health.last_seen is 'Time of the newest event, within 10 s.';
