-- A built-in metric at many moments in one pass: the moments cut time into segments, each bucket goes to its segment by binary
-- search, and a window is the sum of the segments it covers. internal.builtin_metric_samples once a moment would take 50 times
-- as long; a test holds the two to agree.
-- What costs is the percentiles, a histogram of 402 bins a service and bucket. To know on which side of a threshold they are, two
-- sums of each histogram are enough: the requests in bins below that of the threshold, and those in it.
-- It reads the coarsest roll-up of which no window cuts a bucket. Buckets of 10 s that are cut all the same come from the raw
-- events; where those are gone, windows are widened to whole buckets, as in internal.window_rows.
-- enable_nestloop off: nobody can estimate the arrays, and a nested loop over windows takes minutes.
-- Definer: sums may be read by those who may not read events.
create or replace function internal.metric_series(
  metric text,
  lookback interval,
  moments timestamptz[],
  services text[] default null,
  compared_with double precision default null
)
returns table (
  as_of timestamptz,
  service text,
  value double precision,
  requests bigint
)
language plpgsql
stable
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
set jit = off
as $$
declare
  origin constant timestamptz := '2000-01-01 00:00:00+00';
  finest constant interval := '10 s';
  edges constant timestamptz[] :=
    array(select moment from unnest(moments) as moment union select moment - metric_series.lookback from unnest(moments) as moment);
  earliest constant timestamptz := (select min(edge) from unnest(edges) as edge);
  raw_since constant timestamptz := now() - (select keep from analytics.retention where tier = 'raw');
  quantile constant double precision :=
    case metric when 'latency_p50' then 0.5 when 'latency_p95' then 0.95 when 'latency_p99' then 0.99 end;
  threshold_bin constant integer := case when compared_with is not null then
    width_bucket(internal.latency_histogram_axis(compared_with), ln(0.1::double precision), ln(6e5::double precision), 400) + 1
  end;
  level record;
  relation regclass;
  width interval;
  exact_since timestamptz;
  starts timestamptz[];
  ends timestamptz[];
  bounds timestamptz[];
  cut_buckets timestamptz[];
begin
  -- from the finest level that is kept, to coarser ones as long as no window cuts a bucket
  for level in
    select rollups.relation, rollups.width, now() - retention.keep as kept_since
    from internal.rollups
    join analytics.retention on retention.tier::text = rollups.name
    order by rollups.width
  loop
    continue when level.kept_since > earliest and level.width < interval '1 hour';
    continue when relation is not null
      and exists (select from unnest(edges) as edge where date_bin(level.width, edge, origin) <> edge);
    relation := level.relation;
    width := level.width;
  end loop;

  -- edges may cut buckets from here on
  exact_since := case when width = finest then date_bin(finest, raw_since + finest, origin) else 'infinity' end;
  starts := array(
    select case when moment - lookback >= exact_since then moment - lookback else date_bin(width, moment - lookback, origin) end
    from unnest(moments) as moment
  );
  ends := array(
    select case when moment >= exact_since then moment else date_bin(width, moment + width - interval '1 microsecond', origin) end
    from unnest(moments) as moment
  );
  bounds := array(select unnest(starts) as bound union select unnest(ends) order by bound);
  cut_buckets := array(
    select distinct date_bin(width, bound, origin) from unnest(bounds) as bound where date_bin(width, bound, origin) <> bound
  );

  return query execute format(
    'with parts as materialized (
       select
         width_bucket(bucket, $3) as segment, service, total_requests, failed_requests, latency_count, latency_sum,
         latency_min, latency_max, risk_count, risk_sum, high_risk_count, %1$s as latency_histogram, %2$s as users,
         latency_histogram[$11] as in_bin, %7$s as below_bin
       from %3$s
       where bucket >= $5 and bucket < $6
         and bucket <> all ($4)
         and (service = any ($8)) is not false
       union all
       select
         width_bucket(since, $3), service, total_requests, failed_requests, latency_count, latency_sum,
         latency_min, latency_max, risk_count, risk_sum, high_risk_count, %1$s, %2$s,
         latency_histogram[$11], %7$s
       from (
         select edge as since, lead(edge) over (order by edge) as until
         from (
           select unnest($3) as edge
           union
           select unnest($4)
           union
           select unnest($4) + interval ''10 s''
         ) as edges
       ) as pieces
       cross join lateral internal.event_rows(since, until)
       where date_bin(interval ''10 s'', since, timestamptz ''2000-01-01 00:00:00+00'') = any ($4)
         and (service = any ($8)) is not false
     ),
     spans as materialized (
       select as_of, only_service, generate_series(width_bucket(since, $3), width_bucket(until, $3) - 1) as segment
       from unnest($7, $8, $1, $2) as windows (as_of, only_service, since, until)
     ),
     covered as (
       select as_of, parts.*
       from spans
       join parts on parts.segment = spans.segment and coalesce(parts.service = only_service, true)
     ),
     sums as materialized (
       select
         row_number() over () as place, -- to group and sort by, which is slow by text
         as_of, service,
         sum(total_requests)::bigint as total_requests,
         sum(failed_requests)::bigint as failed_requests,
         sum(latency_count)::bigint as latency_count,
         sum(latency_sum) as latency_sum,
         min(latency_min) as latency_min,
         max(latency_max) as latency_max,
         sum(risk_count)::bigint as risk_count,
         sum(risk_sum) as risk_sum,
         sum(high_risk_count)::bigint as high_risk_count,
         bit_or(users) as users,
         sum(in_bin) as in_bin,
         sum(below_bin) as below_bin
       from covered
       group by as_of, service
     ),
     bins as (
       select place, bin, sum(sum(count)) over (partition by place order by bin) as up_to
       from sums
       join covered using (as_of, service)
       cross join unnest(covered.latency_histogram) with ordinality as histogram (count, bin)
       where count > 0
       group by place, bin
     ),
     percentile_bins as (
       select sums.place, min(bin) filter (where up_to >= $9 * latency_count) as bin
       from bins
       join sums on sums.place = bins.place
       group by sums.place
     )
     select as_of, service, (%4$s)::double precision, %5$s from %6$s',
    case when quantile is not null and threshold_bin is null then 'latency_histogram' else 'null::integer[]' end,
    case when metric = 'unique_users' then 'users' else 'null::bit' end,
    relation,
    case metric
      when 'error_rate' then 'internal.error_rate(failed_requests, total_requests)'
      when 'error_count' then 'failed_requests'
      when 'total_requests' then 'total_requests'
      when 'throughput' then 'total_requests / extract(epoch from $10)'
      when 'latency_mean' then 'latency_sum / nullif(latency_count, 0)'
      when 'latency_max' then 'latency_max'
      when 'avg_risk_score' then 'risk_sum / nullif(risk_count, 0)'
      when 'high_risk_count' then 'high_risk_count'
      when 'unique_users' then 'coalesce(internal.sketch_estimate(users), 0)'
      else format(
        'internal.histogram_bin_middle(%s, latency_min, latency_max)',
        case when threshold_bin is null then 'bin' else
          'case
             when latency_count = 0 then null
             when below_bin >= $9 * latency_count then $11 - 1
             when below_bin + in_bin >= $9 * latency_count then $11
             else $11 + 1
           end'
        end
      )
    end,
    case
      when internal.is_count(metric) then 'null::bigint'
      else 'total_requests'
    end,
    case
      when quantile is not null and threshold_bin is null then 'sums left join percentile_bins using (place)'
      else 'sums'
    end,
    case
      when quantile is not null and threshold_bin is not null
        then '(select sum(count) from unnest(latency_histogram[1:$11 - 1]) as count)'
      else 'null::bigint'
    end
  )
  using
    starts, ends, bounds, cut_buckets,
    (select min(bound) from unnest(bounds) as bound), (select max(bound) from unnest(bounds) as bound),
    moments, services, quantile, metric_series.lookback, threshold_bin;
end;
$$;

comment on function internal.metric_series(text, interval, timestamptz[], text[], double precision) is
  'Value of a built-in metric over the lookback before each of the moments, for each service with events in it. services, if given, has '
  'as many elements: the one service that is wanted at each moment, or NULL for all. '
  'requests is NULL where min_requests does not apply. Exact where internal.window_rows is; with compared_with a percentile is exact '
  'only in how it compares with that.';

revoke all on function internal.metric_series(text, interval, timestamptz[], text[], double precision) from public;
