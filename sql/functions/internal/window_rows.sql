-- The additive rows that cover a time range exactly: whole buckets of the coarsest level that fits, finer ones and raw events
-- towards the edges. Where a level has been dropped already, the edge is widened to the next coarser bucket.
create or replace function internal.window_rows(since timestamptz, until timestamptz, of_service text default null)
returns table (
  service text,
  total_requests bigint,
  failed_requests bigint,
  latency_count bigint,
  latency_sum double precision,
  latency_min double precision,
  latency_max double precision,
  latency_histogram integer[],
  users bit,
  ips bit,
  risk_count bigint,
  risk_sum double precision,
  high_risk_count bigint
)
language plpgsql
stable
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
  origin constant timestamptz := '2000-01-01 00:00:00+00';
  level record;
  inner_since timestamptz;
  inner_until timestamptz;
  -- What coarser levels have covered: [head_until, tail_since). Nothing yet, so that the first head is everything.
  head_until timestamptz;
  tail_since timestamptz;
begin
  -- outwards where the fine rows are gone
  for level in
    select rollups.width, now() - retention.keep as kept_since
    from analytics.retention
    join (values ('raw', '10s'), ('10s', '1min'), ('1min', '5min'), ('5min', '1hour')) as next (tier, name)
      on next.tier = retention.tier::text
    join internal.rollups using (name)
    order by rollups.width
  loop
    if since < level.kept_since then
      since := date_bin(level.width, since, origin);
    end if;
    if until < level.kept_since then
      until := date_bin(level.width, until + level.width - interval '1 microsecond', origin);
    end if;
  end loop;
  head_until := until;
  tail_since := until;

  -- inwards from the coarsest level whose buckets fit; for a range of minutes the 10 s level alone has the cheaper plan
  for level in
    select relation, width
    from internal.rollups
    where name in ('10s', '1min', '5min', '1hour') and (name = '10s' or until - since > interval '10 minutes')
    order by width desc
  loop
    inner_since := date_bin(level.width, since + level.width - interval '1 microsecond', origin);
    inner_until := date_bin(level.width, until, origin);
    continue when inner_since >= inner_until;

    return query execute format(
      'select service, total_requests, failed_requests, latency_count, latency_sum, latency_min, latency_max,
         latency_histogram, users, ips, risk_count, risk_sum, high_risk_count
       from %s
       where bucket >= $1 and bucket < $2 and ($3 is null or service = $3)',
      level.relation
    )
    using inner_since, least(head_until, inner_until), of_service;

    if tail_since < inner_until then
      return query execute format(
        'select service, total_requests, failed_requests, latency_count, latency_sum, latency_min, latency_max,
           latency_histogram, users, ips, risk_count, risk_sum, high_risk_count
         from %s
         where bucket >= $1 and bucket < $2 and ($3 is null or service = $3)',
        level.relation
      )
      using tail_since, inner_until, of_service;
    end if;

    head_until := inner_since;
    tail_since := inner_until;
  end loop;

  return query
    select * from internal.event_rows(since, head_until) as edge where of_service is null or edge.service = of_service;
  return query
    select * from internal.event_rows(tail_since, until) as edge where of_service is null or edge.service = of_service;
end;
$$;

comment on function internal.window_rows(timestamptz, timestamptz, text) is
  'Additive rows, several a service, of one service or (NULL) of all, that together cover [since, until): to the microsecond while '
  'the raw events of both edges are kept, and to the finest kept bucket, outwards, after that.';
