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
comment on column analytics.active_alerts.firing_for is 'Time since it began to fire.';
comment on column analytics.active_alerts.silenced is 'Whether a silence holds back its message.';
comment on column analytics.active_alerts.severity is 'How urgent it is, by the rule when the alert began.';
comment on column analytics.active_alerts.status is 'State of the alert: active or acknowledged.';
comment on column analytics.active_alerts.threshold is 'Threshold of the rule when the alert began, in the unit of the metric.';
comment on column analytics.active_alerts.value is
  'Value of the metric, in its unit, at the evaluation; up to 10 s old while nothing changes. Null: no data.';
comment on column analytics.active_alerts.labels is 'Labels of the rule when the alert began, a JSON object.';
comment on column analytics.active_alerts.triggered_at is 'When it began to fire.';
comment on column analytics.active_alerts.acknowledged_at is 'When a person said that they look at it; null: nobody did.';
comment on column analytics.active_alerts.evaluated_at is 'Evaluation that the value is from.';
comment on column analytics.active_alerts.id is 'Number of the alert.';
comment on column analytics.active_alerts.rule_id is 'Id of the rule; it may be gone by now.';
comment on column analytics.active_alerts.rule_name is 'Name of the rule when the alert began.';
comment on column analytics.active_alerts.service is 'Name of the service.';
comment on column analytics.active_alerts.reason is 'Why it is in this state.';
comment on column analytics.active_alerts.metric is 'Metric of the rule when the alert began, such as error_rate.';
comment on column analytics.active_alerts.operator is 'How the metric is compared with the threshold to breach.';
comment on column analytics.active_alerts.acknowledged_by is
  'Who looks at it: the subject of the token, or the database role; null: nobody does.';
comment on column analytics.active_alerts.comment is
  'What was said last, when it was acknowledged or resolved by hand; its history has both. Null: nothing.';
