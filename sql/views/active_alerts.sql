-- What is open now, most urgent first. Pending ones are not alerts yet.
create or replace view analytics.active_alerts as
select
  id,
  rule_id,
  rule_name,
  service,
  severity,
  status,
  reason,
  metric,
  operator,
  threshold,
  value,
  internal.alert_text(rule_name, service, metric, operator, threshold, lookback, value) as message,
  labels,
  triggered_at,
  now() - triggered_at as firing_for,
  acknowledged_at,
  acknowledged_by,
  comment,
  notified_at is null as silenced,
  evaluated_at
from analytics.alerts
where status in ('active', 'acknowledged')
order by severity desc, triggered_at, rule_id, service;

comment on view analytics.active_alerts is 'Alerts that fire, acknowledged or not, most severe and oldest first.';
comment on column analytics.active_alerts.message is 'The alert in a sentence.';
comment on column analytics.active_alerts.firing_for is 'Time since it was triggered.';
comment on column analytics.active_alerts.silenced is 'A silence holds back its message.';
