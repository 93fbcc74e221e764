-- For rules that are stored and rules that are only tried.
create or replace function internal.check_alert_lookback(lookback interval, owner text)
returns void
language plpgsql
stable
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
  raw_kept constant interval := (select keep from analytics.retention where tier = 'raw');
begin
  if lookback > raw_kept then
    raise exception using
      errcode = 'check_violation',
      message = format('lookback %s of %s is longer than raw events are kept, %s', lookback, owner, raw_kept),
      hint = 'Shorten the lookback, or raise keep of tier raw in analytics.retention.';
  end if;
end;
$$;

comment on function internal.check_alert_lookback(interval, text) is
  'Refuses a lookback above the raw retention (23514); owner is whose it is.';
