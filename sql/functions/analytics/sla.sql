-- From sums over the period, never from an average of ratios.
-- Definer: its body reaches into schema internal, where who asks need not be let in.
create or replace function analytics.sla(
  service text default null,
  period interval default interval '24 hours',
  objective double precision default 99.9
)
returns setof analytics.service_level
language plpgsql
stable
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if objective is null or not objective between 0 and 100 then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('sla: the objective is %s, but must be a percentage from 0 to 100', coalesce(objective::text, 'NULL'));
  end if;
  if period is null or period <= interval '0' then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('sla: the period is %s, but must be longer than zero', coalesce(period::text, 'NULL'));
  end if;
  return query
    select
      m.service,
      m.total_requests,
      m.failed_requests,
      100 - m.error_rate,
      objective,
      100 - m.error_rate >= objective,
      m.total_requests * (100 - objective) / 100,
      m.total_requests * (100 - objective) / 100 - m.failed_requests,
      m.latency_p99
    from internal.window_metrics(now() - period, now(), sla.service) as m
    order by m.service;
end;
$$;

comment on function analytics.sla(text, interval, double precision) is
  'How services kept an objective over the last period, one row for each service with events in it. An objective outside 0..100 '
  'or a period that is not positive is an error (SQLSTATE 22023).
- service: Only this service; null (the default): all.
- period: How far back from now; by default 24 hours.
- objective: The availability aimed at, in percent, 0..100; by default 99.9.';

revoke all on function analytics.sla(text, interval, double precision) from public;
