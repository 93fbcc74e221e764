-- One function over the three levels; the branches that are not asked for cost nothing (one-time filters).
create or replace function analytics.metrics(
  resolution analytics.resolution,
  service text default null,
  since timestamptz default now() - interval '1 hour',
  until timestamptz default now()
)
returns setof analytics.metrics_bucket
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
  'Metrics in buckets of one resolution, oldest first.
- resolution: Width of the buckets.
- service: Only this service; null (the default): all.
- since: Start of the first bucket at the earliest; by default an hour ago.
- until: Only buckets that start before this; by default now.';
