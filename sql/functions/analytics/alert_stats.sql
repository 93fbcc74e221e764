-- One row a severity, also when there was nothing, so that a dashboard has no gaps.
create or replace function analytics.alert_stats(period interval default '24 hours')
returns setof analytics.alert_statistics
language sql
stable
parallel unsafe
begin atomic
  select
    severities.severity,
    count(alerts.id),
    count(alerts.id) filter (where alerts.status = 'pending'),
    count(alerts.id) filter (where alerts.status = 'active'),
    count(alerts.id) filter (where alerts.status = 'acknowledged'),
    count(alerts.id) filter (where alerts.status = 'resolved'),
    count(alerts.id) filter (where alerts.triggered_at >= now() - period),
    avg(alerts.acknowledged_at - alerts.triggered_at),
    avg(alerts.resolved_at - alerts.triggered_at)
  from unnest(enum_range(null::analytics.alert_severity)) as severities (severity)
  left join analytics.alerts
    on alerts.severity = severities.severity
    and (alerts.status <> 'resolved' or alerts.resolved_at >= now() - period)
  group by severities.severity
  order by severities.severity desc;
end;

comment on function analytics.alert_stats(interval) is
  'How many alerts there are, and how fast they are dealt with, one row for each severity, the most urgent first. Alerts that are '
  'open count, and those that were resolved within the period.
- period: How far back from now; by default 24 hours.';
