-- Definer: operators may resolve, but not write alerts.
create or replace function analytics.resolve_alert(
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
  resolved analytics.alerts;
begin
  select * into resolved from analytics.alerts where id = alert_id for update;
  if resolved.id is null then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('there is no alert %s', coalesce(alert_id::text, 'without an id')),
      hint = 'The ids of the alerts that fire are in analytics.active_alerts.';
  elsif resolved.status = 'resolved' then
    return resolved;
  elsif resolved.status = 'pending' then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('alert %s is pending', alert_id),
      hint = 'Only an alert that fires can be resolved; a pending one goes by itself when it is clean.';
  end if;

  update analytics.alerts
  set
    status = 'resolved',
    reason = 'resolved_by_hand',
    changed_at = clock_timestamp(),
    resolved_at = clock_timestamp(),
    resolved_by = coalesce(
      nullif(current_setting('jwt.claims.sub', true), ''),
      nullif(current_setting('role'), 'none'),
      session_user
    ),
    comment = coalesce(resolve_alert.comment, alerts.comment)
  where id = alert_id
  returning * into resolved;
  return resolved;
end;
$$;

comment on function analytics.resolve_alert(bigint, text) is
  'Ends an alert that fires, by hand: its resolved message is sent if its triggered one was. If the rule still breaches, the next '
  'evaluation begins a new alert; without data it does not. Doing it again changes nothing. An alert that is not there or is '
  'pending is an error (SQLSTATE 22023).
- alert_id: Number of the alert.
- comment: What to say about it; it stands in the alert and in its history.
- returns: The alert, resolved.';

revoke all on function analytics.resolve_alert(bigint, text) from public;
