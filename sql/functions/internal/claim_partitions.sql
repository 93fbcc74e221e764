-- Where an ingester that was given partitions goes on. A partition never seen starts at the beginning of its log. A stored offset
-- outside of the log starts there again, too: below it, the retention of the topic has dropped what was not read in time; above
-- it, the topic was deleted and made anew.
create or replace function internal.claim_partitions(
  topic text,
  partitions integer[],
  log_start_offsets bigint[],
  log_end_offsets bigint[]
)
returns table (partition integer, next_offset bigint, stored_offset bigint)
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  with logs as (
    select log.partition, log.log_start, log.log_end
    from unnest(partitions, log_start_offsets, log_end_offsets) as log (partition, log_start, log_end)
  ),
  before as (
    select logs.partition, stored.next_offset
    from logs
    left join internal.ingest_offsets as stored
      on stored.topic = claim_partitions.topic and stored.partition = logs.partition
  ),
  claimed as (
    insert into internal.ingest_offsets as stored (topic, partition, next_offset, log_end_offset)
    select claim_partitions.topic, logs.partition, logs.log_start, logs.log_end
    from logs
    order by logs.partition
    on conflict (topic, partition) do update
    set
      next_offset = case
        when stored.next_offset between (
          select log_start from logs where logs.partition = stored.partition
        ) and excluded.log_end_offset then stored.next_offset
        else excluded.next_offset
      end,
      log_end_offset = excluded.log_end_offset,
      checked_at = clock_timestamp()
    returning stored.partition, stored.next_offset
  )
  select claimed.partition, claimed.next_offset, before.next_offset
  from claimed
  join before using (partition);
$$;

comment on function internal.claim_partitions(text, integer[], bigint[], bigint[]) is
  'The offset from which each partition goes on (next_offset), and the one stored before (NULL: never seen). They differ when the '
  'stored offset is outside of the log. The arrays go together.';
