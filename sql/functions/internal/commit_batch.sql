-- What goes with the COPY of one batch, in the same transaction: the offset moves from the expected to the next one, rejected
-- messages, services seen, and minutes that the roll-ups would not look back to.
-- SL001 says that the stored offset is not the expected one: another ingester has the partition, or the database came back from
-- an older state. It takes the COPY before it down with it, which is what makes each event be stored once.
create or replace function internal.commit_batch(
  topic text,
  partition integer,
  expected_offset bigint,
  next_offset bigint,
  log_end_offset bigint,
  services jsonb,
  oldest_by_minute jsonb,
  rejects jsonb
)
returns void
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  update internal.ingest_offsets as stored
  set
    next_offset = commit_batch.next_offset,
    log_end_offset = commit_batch.log_end_offset,
    updated_at = clock_timestamp()
  where stored.topic = commit_batch.topic
    and stored.partition = commit_batch.partition
    and stored.next_offset = commit_batch.expected_offset;

  if not found then
    raise exception 'the stored offset of partition % of % is not % any more',
      commit_batch.partition, commit_batch.topic, commit_batch.expected_offset
      using errcode = 'SL001';
  end if;

  -- Only what changes: on conflict would lock the row of every service until the commit. In the order of the key, so that two
  -- ingesters cannot wait for each other.
  insert into analytics.services as known (service, first_seen, last_seen)
  select seen.service, to_timestamp(seen.first_ms / 1000), to_timestamp(seen.last_ms / 1000)
  from jsonb_to_recordset(commit_batch.services) as seen (service text, first_ms float8, last_ms float8)
  where not exists (
    select from analytics.services as known
    where known.service = seen.service
      and known.last_seen >= to_timestamp(seen.last_ms / 1000) - interval '10 s'
  )
  order by seen.service
  on conflict (service) do update
  set
    last_seen = greatest(known.last_seen, excluded.last_seen),
    known_since = case
      when excluded.last_seen >= known.last_seen + interval '1 day' then excluded.known_since else known.known_since
    end;

  -- The roll-ups look back 2 minutes by themselves; one of them is left as room for the time until this commit.
  insert into internal.late_minutes (minute)
  select date_trunc('minute', to_timestamp(oldest.ms / 1000))
  from jsonb_array_elements_text(commit_batch.oldest_by_minute) as element (value)
  cross join lateral (select element.value::float8 as ms) as oldest
  where to_timestamp(oldest.ms / 1000) < (
    select coalesce(refreshed_until, clock_timestamp()) from internal.rollups where name = '10s'
  ) - interval '1 minute';

  -- The same offset again: the topic was deleted and made anew.
  insert into analytics.rejected_events as rejected (topic, partition, "offset", reason, detail, payload)
  select commit_batch.topic, commit_batch.partition, message."offset", message.reason, message.detail, message.payload
  from jsonb_to_recordset(commit_batch.rejects) as message ("offset" bigint, reason analytics.reject_reason, detail text, payload text)
  on conflict (topic, partition, "offset") do update
  set received_at = now(), reason = excluded.reason, detail = excluded.detail, payload = excluded.payload;

  if commit_batch.services <> '[]' then
    perform pg_notify('stacklens_ingested', '');
  end if;
end;
$$;

comment on function internal.commit_batch(text, integer, bigint, bigint, bigint, jsonb, jsonb, jsonb) is
  'Completes the transaction that has copied a batch into analytics.events; SL001 when the partition is not at expected_offset. '
  'services: [{service, first_ms, last_ms}]; oldest_by_minute: time of the oldest event of each older minute of the batch; '
  'rejects: [{offset, reason, detail, payload}]; times in epoch milliseconds. Notifies stacklens_ingested when there are events.';
