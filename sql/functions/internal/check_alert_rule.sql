-- What a constraint cannot see: other tables and the catalog. It also counts the versions, which nobody can set by hand.
-- last_error and failing_since belong to the evaluation; writing them is no change of the rule.
create or replace function internal.check_alert_rule()
returns trigger
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'UPDATE' then
    new.version := old.version;
    new.created_at := old.created_at;
    new.updated_at := old.updated_at;
    if (new.last_error, new.failing_since) is distinct from (old.last_error, old.failing_since)
      or new is not distinct from old then
      return new;
    end if;
    new.version := old.version + 1;
    new.updated_at := now();
    new.last_error := null;
    new.failing_since := null;
  else
    new.version := 1;
    new.created_at := now();
    new.updated_at := now();
  end if;

  if tg_op = 'INSERT' or new.metric <> old.metric then
    perform internal.check_alert_metric(new.metric, format('alert rule %s', new.id));
  end if;

  if tg_op = 'INSERT' or new.lookback <> old.lookback then
    perform internal.check_alert_lookback(new.lookback, format('alert rule %s', new.id));
  end if;
  return new;
end;
$$;

comment on function internal.check_alert_rule() is
  'Trigger: refuses a metric that does not exist and a lookback above the raw retention (23514); counts versions.';
