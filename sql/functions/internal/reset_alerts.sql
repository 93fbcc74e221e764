-- An open alert belongs to the rule as it was when it began; with that gone it is over. Definer: who may edit rules may not
-- write alerts.
create or replace function internal.reset_alerts()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'DELETE' then
    update analytics.alerts
    set status = 'resolved', reason = 'rule_deleted', changed_at = clock_timestamp(), resolved_at = clock_timestamp()
    from old_rules
    where alerts.rule_id = old_rules.id
      and alerts.status <> 'resolved';
  else
    update analytics.alerts
    set
      status = 'resolved',
      reason = case
        when new_rules.enabled then 'rule_changed'
        when new_rules.id is null then 'rule_deleted'
        else 'rule_disabled'
      end::analytics.alert_reason,
      changed_at = clock_timestamp(),
      resolved_at = clock_timestamp()
    from old_rules
    left join new_rules on new_rules.id = old_rules.id
    where alerts.rule_id = old_rules.id
      and alerts.status <> 'resolved'
      and new_rules.version is distinct from old_rules.version;
  end if;
  delete from analytics.alerts where status = 'resolved' and triggered_at is null;
  return null;
end;
$$;

comment on function internal.reset_alerts() is
  'Trigger: resolves the open alerts of rules that were changed, disabled or deleted, with that as the reason.';

revoke all on function internal.reset_alerts() from public;
