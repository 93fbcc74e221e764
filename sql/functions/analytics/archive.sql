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
  level record;
  result analytics.archived_tier;
begin
  for level in select * from analytics.retention order by keep, tier loop
    result := (level.tier, 0, 0, 0);

    if level.tier in ('alerts', 'rejected_events') then
      continue when level.tier = 'rejected_events'; -- both leave together
      result.tier := 'alerts and rejected_events';
      result.deleted_rows := internal.clean_up();
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
  'Applies analytics.retention at once: old raw events to the columnstore, then what is past its time away, tier by tier. '
  'The policies of the database and the worker do the same by themselves every 10 minutes.';

revoke all on function analytics.archive() from public;
