-- Definer: operators may acknowledge, but not write alerts.
create or replace function analytics.acknowledge_alert(
  alert_id bigint,
  comment text default null
)
returns analytics.alerts
language plpgsql
volatile
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  acknowledged analytics.alerts;
begin
  select * into acknowledged from analytics.alerts where id = alert_id for update;
  if acknowledged.id is null then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('there is no alert %s', coalesce(alert_id::text, 'without an id')),
      hint = 'The ids of the alerts that fire are in analytics.active_alerts.';
  elsif acknowledged.status = 'acknowledged' then
    return acknowledged;
  elsif acknowledged.status <> 'active' then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('alert %s is %s', alert_id, acknowledged.status),
      hint = 'Only an active alert can be acknowledged.';
  end if;

  update analytics.alerts
  set
    status = 'acknowledged',
    reason = 'acknowledged',
    changed_at = clock_timestamp(),
    acknowledged_at = clock_timestamp(),
    acknowledged_by = coalesce(
      nullif(current_setting('jwt.claims.sub', true), ''),
      nullif(current_setting('role'), 'none'),
      session_user
    ),
    comment = acknowledge_alert.comment
  where id = alert_id
  returning * into acknowledged;
  return acknowledged;
end;
$$;

comment on function analytics.acknowledge_alert(bigint, text) is
  'Says that somebody looks at an active alert; it stays open until it is clean. Doing it again changes nothing. An alert that is '
  'not there or does not fire is an error (SQLSTATE 22023).
- alert_id: Number of the alert.
- comment: What to say about it; it stands in the alert and in its history.
- returns: The alert, acknowledged.';

revoke all on function analytics.acknowledge_alert(bigint, text) from public;
