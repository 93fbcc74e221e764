-- Where an ingester that was given partitions goes on. A partition never seen starts at the beginning of its log. A stored offset
-- outside of the log starts there again, too: below it, the retention of the topic has dropped what was not read in time; above
-- it, the topic was deleted and made anew.
-- The stored offsets come from the caller, who read them before it looked at the log: one stored after that look may well be
-- above the end that was seen, and starting again would then store everything twice.
create or replace function internal.claim_partitions(
  topic text,
  partitions integer[],
  stored_offsets bigint[],
  log_start_offsets bigint[],
  log_end_offsets bigint[]
)
returns table (partition integer, next_offset bigint)
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  insert into internal.ingest_offsets (topic, partition, next_offset)
  select claim_partitions.topic, log.partition, log.log_start
  from unnest(partitions, log_start_offsets) as log (partition, log_start)
  order by log.partition
  on conflict do nothing;

  return query
  update internal.ingest_offsets as stored
  set
    next_offset = case
      when stored.next_offset = log.stored_offset and log.stored_offset not between log.log_start and log.log_end
        then log.log_start
      else stored.next_offset
    end,
    log_end_offset = log.log_end,
    checked_at = clock_timestamp()
  from unnest(partitions, stored_offsets, log_start_offsets, log_end_offsets)
    as log (partition, stored_offset, log_start, log_end)
  where stored.topic = claim_partitions.topic and stored.partition = log.partition
  returning stored.partition, stored.next_offset;
end;
$$;

comment on function internal.claim_partitions(text, integer[], bigint[], bigint[], bigint[]) is
  'The offset from which each partition goes on. The arrays go together; a stored offset is NULL for a partition never seen.';
