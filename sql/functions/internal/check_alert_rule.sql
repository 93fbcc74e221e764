-- What a constraint cannot see: other tables and the catalog. It also counts the versions, which nobody can set by hand.
-- last_error and failing_since belong to the evaluation; writing them is no change of the rule.
create or replace function internal.check_alert_rule()
returns trigger
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  is_usable boolean;
  raw_kept interval;
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
    select usable into is_usable from internal.alert_metrics() where name = new.metric;
    if is_usable is null then
      raise exception using
        errcode = 'check_violation',
        message = format('unknown metric %I of alert rule %s', new.metric, new.id),
        hint = format(
          'Use one of %s; or create function alert_metrics.%I(lookback interval) '
          'returns table (service text, value double precision).',
          (select string_agg(name, ', ' order by builtin desc, name) from internal.alert_metrics() where usable), new.metric
        );
    elsif not is_usable then
      raise exception using
        errcode = 'check_violation',
        message = format('function alert_metrics.%I of alert rule %s does not have the form of a metric', new.metric, new.id),
        hint = format('Make it alert_metrics.%I(lookback interval) returns table (service text, value double precision).', new.metric);
    end if;
  end if;

  if tg_op = 'INSERT' or new.lookback <> old.lookback then
    select keep into raw_kept from analytics.retention where tier = 'raw';
    if new.lookback > raw_kept then
      raise exception using
        errcode = 'check_violation',
        message = format('lookback %s of alert rule %s is longer than raw events are kept, %s', new.lookback, new.id, raw_kept),
        hint = 'Shorten the lookback, or raise keep of tier raw in analytics.retention.';
    end if;
  end if;
  return new;
end;
$$;

comment on function internal.check_alert_rule() is
  'Trigger: refuses a metric that does not exist and a lookback above the raw retention (23514); counts versions.';
