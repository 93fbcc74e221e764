-- One function over the three levels; the branches that are not asked for cost nothing (one-time filters).
create or replace function analytics.metrics(
  resolution analytics.resolution,
  service text default null,
  since timestamptz default now() - interval '1 hour',
  until timestamptz default now()
)
returns setof analytics.metrics_1min
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return query execute format(
    'select * from analytics.%I where bucket >= $1 and bucket < $2 %s order by bucket, service',
    case resolution
      when 'one_minute' then 'metrics_1min'
      when 'five_minutes' then 'metrics_5min'
      else 'metrics_1hour'
    end,
    case when service is not null then 'and service = $3' end
  )
  using since, until, service;
end;
$$;

comment on function analytics.metrics(analytics.resolution, text, timestamptz, timestamptz) is
  'Metrics in buckets of the given resolution that start in [since, until), of one service or (NULL) of all, by time.';
