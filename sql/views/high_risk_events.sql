-- Raw events, so it reaches back as far as they are kept. Filter on time and business_risk_score.
create or replace view analytics.high_risk_events as
select
  time,
  service,
  endpoint,
  level,
  status_code,
  latency_ms,
  business_risk_score,
  user_id,
  source_ip,
  geo_country,
  user_subscription_tier,
  request_id,
  trace_id
from analytics.events
where business_risk_score > 0.7;

comment on view analytics.high_risk_events is 'Events with a business risk score above 0.7.';
comment on column analytics.high_risk_events.time is 'When it happened, by the clock of the service.';
comment on column analytics.high_risk_events.service is 'Name of the service.';
comment on column analytics.high_risk_events.endpoint is 'Route or operation; null for what has none.';
comment on column analytics.high_risk_events.level is 'Severity; error and critical count as failed.';
comment on column analytics.high_risk_events.status_code is 'HTTP status, 100..599; null for what has none.';
comment on column analytics.high_risk_events.latency_ms is 'Duration in ms, not negative; null for what has none.';
comment on column analytics.high_risk_events.business_risk_score is 'Risk that the service sees in it: above 0.7, up to 1.';
comment on column analytics.high_risk_events.user_id is
  'Identifier of the user who made the request; null when it was not sent. For operators.';
comment on column analytics.high_risk_events.source_ip is 'Address that the request came from; null when it was not sent. For operators.';
comment on column analytics.high_risk_events.geo_country is 'Country that the request came from; null when it was not sent.';
comment on column analytics.high_risk_events.user_subscription_tier is 'Subscription of the user; null when it was not sent.';
comment on column analytics.high_risk_events.request_id is 'Identifier of the request; null when it was not sent.';
comment on column analytics.high_risk_events.trace_id is 'Identifier of the trace; null when it was not sent.';
