-- Brings every roll-up up to date, in the order in which they are made from each other: closed buckets since the last time,
-- changes within the look-back, and exactly the minutes that got older events. A few ms when there is nothing to do.
-- TimescaleDB refreshes a range only where its log says that it changed, so a call costs what changed. The log keeps one
-- range a transaction, which a single late event stretches; that is why the look-back is short and older minutes are named.
-- It has no set search_path, since a procedure that commits cannot have one: names are full instead.
create or replace procedure internal.refresh_rollups(job_id integer default null, config jsonb default null)
language plpgsql
as $$
declare
  rollup record;
  late record;
  late_ids bigint[] := (select pg_catalog.array_agg(id) from internal.late_minutes);
  source_since timestamptz;
  closed timestamptz;
  range_width interval;
begin
  -- Sorting a minute of events by bucket and service costs more than a hash table of its few groups, but planners expect too many
  -- groups to choose it; compiling costs more than the whole refresh. For the session, since transactions end within; a call that fails leaves them
  -- there until the next one.
  set enable_sort = off;
  set work_mem = '64MB';
  set jit = off;

  for rollup in select * from internal.rollups order by place loop
    closed := pg_catalog.date_bin(
      rollup.width,
      case
        when rollup.source = 'analytics.events'::pg_catalog.regclass then pg_catalog.clock_timestamp() - interval '2 s'
        else (select below.refreshed_until from internal.rollups as below where below.relation = rollup.source)
      end,
      '2000-01-01 00:00:00+00'
    );
    if rollup.refreshed_until is null or late_ids is not null then
      source_since := internal.stored_since(rollup.source);
    end if;

    call public.refresh_continuous_aggregate(
      rollup.relation,
      least(coalesce(rollup.refreshed_until, source_since), closed - rollup.lookback),
      closed
    );
    update internal.rollups set refreshed_until = closed where name = rollup.name and refreshed_until is distinct from closed;
    commit; -- only then does the next level learn what changed in this one

    continue when late_ids is null;
    range_width := greatest(rollup.width, interval '1 minute');
    -- Neighbouring late buckets are one range. A range whose source is no longer whole stays as it was rolled up.
    for late in
      with buckets as (
        select distinct pg_catalog.date_bin(range_width, minute, '2000-01-01 00:00:00+00') as bucket
        from internal.late_minutes
        where id = any (late_ids)
      ),
      islands as (
        select bucket, bucket - range_width * pg_catalog.row_number() over (order by bucket) as island
        from buckets
        where bucket >= source_since and bucket < closed - rollup.lookback
      )
      select pg_catalog.min(bucket) as since, pg_catalog.max(bucket) + range_width as until
      from islands
      group by island
    loop
      call public.refresh_continuous_aggregate(rollup.relation, late.since, late.until);
      commit;
    end loop;
  end loop;

  delete from internal.late_minutes where id = any (late_ids);

  reset enable_sort;
  reset work_mem;
  reset jit;
end;
$$;

comment on procedure internal.refresh_rollups(integer, jsonb) is
  'Materializes what changed in every roll-up since the last call; run by the worker each second and by a job of the database '
  'each minute, must not be called within a transaction. The arguments are those that TimescaleDB gives to a job; they are not used.';
