-- Which roll-up answers for windows in the past: the finest one that is kept for all of them, then the coarsest of which no window
-- cuts a bucket. Buckets of 10 s that are cut come from the raw events as long as those are kept.
-- Definer: what there is of roll-ups is not for clients.
create or replace function internal.series_level(moments timestamptz[], lookback interval)
returns table (
  relation regclass,
  width interval,
  exact_since timestamptz
)
language sql
stable
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
begin atomic
  with edges as materialized (
    select unnest(moments) as edge
    union
    select unnest(moments) - lookback
  ),
  levels as (
    select
      rollups.relation,
      rollups.width,
      rollups.name = '1hour' or now() - retention.keep <= (select min(edge) from edges) as is_kept,
      exists (
        select from edges where date_bin(rollups.width, edge, timestamptz '2000-01-01 00:00:00+00') <> edge
      ) as is_cut
    from internal.rollups
    join analytics.retention on retention.tier::text = rollups.name
  )
  select
    levels.relation,
    levels.width,
    case
      when not levels.is_cut then '-infinity'
      when levels.width = interval '10 s' then (
        select date_bin(levels.width, now() - raw.keep + levels.width, timestamptz '2000-01-01 00:00:00+00')
        from analytics.retention as raw
        where raw.tier = 'raw'
      )
      else 'infinity'
    end
  from levels
  where levels.is_kept
  order by levels.is_cut, case when levels.is_cut then levels.width else -levels.width end
  limit 1;
end;

comment on function internal.series_level(timestamptz[], interval) is
  'The roll-up to read for windows of the lookback before each of the moments. Windows that begin at exact_since or later are exact; '
  'earlier ones are widened to whole buckets.';

revoke all on function internal.series_level(timestamptz[], interval) from public;
