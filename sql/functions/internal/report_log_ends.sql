-- The ingester says every few seconds how far the logs of its partitions reach, so that anybody can see its lag in SQL, and that
-- it is alive. It gets the stored offsets back, to notice that the database lost its last moments while nothing came in.
create or replace function internal.report_log_ends(topic text, partitions integer[], log_end_offsets bigint[])
returns table (partition integer, next_offset bigint)
language sql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
  update internal.ingest_offsets as stored
  set
    log_end_offset = log.log_end,
    checked_at = clock_timestamp()
  from unnest(partitions, log_end_offsets) as log (partition, log_end)
  where stored.topic = report_log_ends.topic and stored.partition = log.partition
  returning stored.partition, stored.next_offset;
$$;

comment on function internal.report_log_ends(text, integer[], bigint[]) is
  'Stores the end of the log of each partition, and when it was looked at; returns their next offsets. The arrays go together.';
