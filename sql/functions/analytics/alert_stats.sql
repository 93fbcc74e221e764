-- One row a severity, also when there was nothing, so that a dashboard has no gaps.
create or replace function analytics.alert_stats(period interval default '24 hours')
returns table (
  severity analytics.alert_severity,
  total bigint,
  pending bigint,
  active bigint,
  acknowledged bigint,
  resolved bigint,
  triggered bigint,
  mean_time_to_acknowledge interval,
  mean_time_to_resolve interval
)
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
  'Alerts by severity and present status: those that are open, and those that were resolved within the period. triggered counts '
  'those that began to fire within it; the mean times are from then to the acknowledgement and to the end.';
