-- Whoever changes an alert, and how: its history gets a row in the same transaction. Definer: nobody but this writes history.
create or replace function internal.record_alert_history()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' then
    insert into analytics.alert_history (
      alert_id, rule_id, rule_version, service, status, reason, value, as_of, watermark
    )
    select id, rule_id, rule_version, service, status, reason, value, changed_at, watermark
    from new_alerts
    order by id;
    return null;
  end if;

  insert into analytics.alert_history (
    alert_id, rule_id, rule_version, service, previous_status, status, reason, value, as_of, watermark, author, comment
  )
  select
    new_alerts.id, new_alerts.rule_id, new_alerts.rule_version, new_alerts.service, old_alerts.status, new_alerts.status,
    new_alerts.reason, new_alerts.value, new_alerts.changed_at, new_alerts.watermark,
    case new_alerts.reason when 'acknowledged' then new_alerts.acknowledged_by when 'resolved_by_hand' then new_alerts.resolved_by end,
    case when new_alerts.comment is distinct from old_alerts.comment then new_alerts.comment end
  from new_alerts
  join old_alerts on old_alerts.id = new_alerts.id
  where (new_alerts.status, new_alerts.reason) is distinct from (old_alerts.status, old_alerts.reason)
  order by new_alerts.id;

  -- a pending alert that never became active is no alert; its history stays
  delete from analytics.alerts where status = 'resolved' and triggered_at is null;
  return null;
end;
$$;

comment on function internal.record_alert_history() is
  'Trigger: writes a row of alert_history for each alert whose status or reason changed, and drops pending ones that are over.';

revoke all on function internal.record_alert_history() from public;
