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
comment on column analytics.active_alerts.severity is 'Of the rule.';
comment on column analytics.active_alerts.status is 'active, or acknowledged by a person.';
comment on column analytics.active_alerts.threshold is 'Of the rule, in the unit of the metric.';
comment on column analytics.active_alerts.value is 'Of the metric at evaluated_at, up to 10 s old; NULL: no data.';
comment on column analytics.active_alerts.labels is 'Of the rule.';
comment on column analytics.active_alerts.triggered_at is 'When it began to fire.';
comment on column analytics.active_alerts.acknowledged_at is 'When a person said that they look at it; NULL: nobody did.';
comment on column analytics.active_alerts.evaluated_at is 'Evaluation that value is from.';
