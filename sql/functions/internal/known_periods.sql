-- internal.known_services over a range: analytics.services knows the first and the last event only, so what lies between them
-- comes from the roll-ups. That matters for a service that was silent for more than a day and came back.
-- Definer: the roll-ups are not for clients.
create or replace function internal.known_periods(since timestamptz, until timestamptz)
returns table (
  service text,
  known_since timestamptz,
  known_until timestamptz
)
language plpgsql
stable
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  known_for constant interval := '1 day';
  relation constant regclass := (
    select rollups.relation
    from internal.rollups
    join analytics.retention on retention.tier::text = rollups.name
    where rollups.name in ('5min', '1hour')
    order by now() - retention.keep > since - known_for, rollups.width
    limit 1
  );
begin
  return query execute format(
    'with seen as (
       select service, bucket as at from %s where bucket > $1 - $3 and bucket <= $2
       union all
       select service, unnest(array[first_seen, last_seen]) from analytics.services
     ),
     starts as (
       select
         seen.service, at,
         (at - lag(at) over (partition by seen.service order by at) < $3) is not true as is_start
       from seen
       join analytics.services on services.service = seen.service
       where at between first_seen and last_seen -- a bucket begins before its first event
     ),
     periods as (
       select service, at, count(*) filter (where is_start) over (partition by service order by at) as period from starts
     )
     select service, min(at), max(at) + $3 from periods group by service, period',
    relation
  )
  using since, until, known_for;
end;
$$;

comment on function internal.known_periods(timestamptz, timestamptz) is
  'When services were known, as internal.known_services means it, around [since, until): [known_since, known_until). Exact, but to 5 '
  'minutes (1 hour where the 5 min level is gone) for one that came back after more than a day.';

revoke all on function internal.known_periods(timestamptz, timestamptz) from public;
