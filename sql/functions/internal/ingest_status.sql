-- For /readyz. Ingesters look at the end of the log every few seconds, so silence means that none is there.
-- Definer: the server itself reads no table.
create or replace function internal.ingest_status(topic text)
returns table (
  ok boolean,
  detail text,
  lag bigint,
  checked_at timestamptz
)
language sql
stable
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
  with
    partitions as (
      select
        partition,
        greatest(log_end_offset - next_offset, 0) as lag,
        now() - updated_at as unmoved_for,
        checked_at
      from internal.ingest_offsets
      where ingest_offsets.topic = ingest_status.topic
    ),
    total as (
      select sum(lag)::bigint as lag, max(checked_at) as checked_at, now() - max(checked_at) as silent_for
      from partitions
    ),
    stuck as (
      select * from partitions where lag > 0 and unmoved_for > interval '60 s' order by unmoved_for desc limit 1
    ),
    problem as (
      select case
        when total.checked_at is null then 'no ingester has taken a partition of the topic yet'
        when total.silent_for > interval '30 s' then
          format('no ingester has reported for %s s', round(extract(epoch from total.silent_for)))
        when stuck.partition is not null then
          format(
            'partition %s has not moved for %s s, %s messages wait', stuck.partition,
            round(extract(epoch from stuck.unmoved_for)), stuck.lag
          )
        when total.lag > 1000000 then format('%s messages behind', total.lag)
      end as detail
      from total
      left join stuck on true
    )
  select problem.detail is null, problem.detail, total.lag, total.checked_at
  from total, problem;
$$;

comment on function internal.ingest_status(text) is
  'How the ingesters of a topic are doing. Not ok, with the reason as detail: none has reported for 30 s, a partition with waiting '
  'messages has not moved for 60 s, or more than a million messages wait. lag: messages that wait.';

revoke all on function internal.ingest_status(text) from public;
