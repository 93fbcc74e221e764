-- For rules that are stored and rules that are only tried.
create or replace function internal.check_alert_metric(metric text, owner text)
returns void
language plpgsql
stable
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
  is_usable constant boolean := (select usable from internal.alert_metrics() where name = metric);
begin
  if is_usable is null then
    raise exception using
      errcode = 'check_violation',
      message = format('unknown metric %I of %s', metric, owner),
      hint = format(
        'Use one of %s; or create function alert_metrics.%I(lookback interval) '
        'returns table (service text, value double precision).',
        (select string_agg(name, ', ' order by builtin desc, name) from internal.alert_metrics() where usable), metric
      );
  elsif not is_usable then
    raise exception using
      errcode = 'check_violation',
      message = format('function alert_metrics.%I of %s does not have the form of a metric', metric, owner),
      hint = format('Make it alert_metrics.%I(lookback interval) returns table (service text, value double precision).', metric);
  end if;
end;
$$;

comment on function internal.check_alert_metric(text, text) is
  'Refuses a metric that does not exist or has the wrong form (23514), and names the known ones; owner is who wants it.';
