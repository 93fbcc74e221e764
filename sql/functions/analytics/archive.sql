-- The lifecycle of analytics.retention, at once instead of when the policies are due.
-- Definer: only the owner may drop chunks, and operators may have it done.
create or replace function analytics.archive()
returns setof analytics.archived_tier
language plpgsql
volatile
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  cleaned record;
  level record;
  result analytics.archived_tier;
begin
  select * into cleaned from internal.clean_up();

  for level in select * from analytics.retention order by keep, tier loop
    result := (level.tier, 0, 0, 0);

    if level.tier = 'alerts' then
      result.deleted_rows := cleaned.alerts;
    elsif level.tier = 'rejected_events' then
      result.deleted_rows := cleaned.rejected_events;
    else
      select coalesce(sum(dropped), 0)
      into result.dropped_chunks
      from internal.retention_relations as relations
      cross join lateral (
        select count(*) as dropped from public.drop_chunks(relations.relation, older_than => now() - level.keep)
      ) as chunks
      where relations.tier = level.tier;
    end if;

    if level.compress_after is not null then
      select count(public.compress_chunk(format('%I.%I', chunk_schema, chunk_name)::regclass))
      into result.compressed_chunks
      from timescaledb_information.chunks
      where hypertable_schema = 'analytics' and hypertable_name = 'events'
        and not is_compressed and range_end < now() - level.compress_after;
    end if;

    return next result;
  end loop;
end;
$$;

comment on function analytics.archive() is
  'Applies the retention at once: old raw events to the columnstore, then what is past its time away, tier by tier. The policies '
  'of the database and the worker do the same by themselves every 10 minutes.
- returns: What was done to each tier, the shortest kept first.';

revoke all on function analytics.archive() from public;
