-- A built-in metric at many moments in one pass: the moments cut time into segments, each bucket goes to its segment by binary
-- search, and a window is the sum of the segments it covers. internal.builtin_metric_samples once a moment would take 50 times
-- as long; a test holds the two to agree.
-- What costs is the percentiles, a histogram of 402 bins a service and bucket. To know on which side of a threshold they are, two
-- sums of each histogram are enough: the requests in bins below that of the threshold, and those in it. And of a histogram only
-- the bins between those of the smallest and the largest latency are looked at.
-- Buckets of 10 s that are cut by a window come from the raw events; where those are gone, windows are widened to whole buckets,
-- as in internal.window_rows.
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
  requests bigint,
  share_above double precision
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
  level constant record := internal.series_level(moments, metric_series.lookback);
  quantile constant double precision :=
    case metric when 'latency_p50' then 0.5 when 'latency_p95' then 0.95 when 'latency_p99' then 0.99 end;
  threshold_bin constant integer := case when compared_with is not null then internal.latency_histogram_bin(compared_with) end;
  starts constant timestamptz[] := array(
    select case
      when moment - lookback >= level.exact_since then moment - lookback
      else date_bin(level.width, moment - lookback, origin)
    end
    from unnest(moments) as moment
  );
  ends constant timestamptz[] := array(
    select case
      when moment >= level.exact_since then moment
      else date_bin(level.width, moment + level.width - interval '1 microsecond', origin)
    end
    from unnest(moments) as moment
  );
  bounds constant timestamptz[] := array(select unnest(starts) as bound union select unnest(ends) order by bound);
  cut_buckets constant timestamptz[] := array(
    select distinct date_bin(level.width, bound, origin)
    from unnest(bounds) as bound
    where date_bin(level.width, bound, origin) <> bound
  );
  -- what is summed of a row
  columns constant text := case
    when quantile is not null and threshold_bin is null then
      'total_requests, latency_count, latency_min, latency_max,
       internal.latency_histogram_bin(latency_min) as first_bin,
       latency_histogram[internal.latency_histogram_bin(latency_min):internal.latency_histogram_bin(latency_max)] as histogram'
    when quantile is not null then
      'total_requests, latency_count, latency_min, latency_max, latency_histogram[$11] as in_bin,
       case
         when internal.latency_histogram_bin(latency_max) < $11 then latency_count
         when internal.latency_histogram_bin(latency_min) < $11 then (
           select sum(count)
           from unnest(latency_histogram[internal.latency_histogram_bin(latency_min):$11 - 1]) as count
         )
         else 0
       end as below_bin'
    when metric = 'unique_users' then 'users'
    else
      'total_requests, failed_requests, latency_count, latency_sum, latency_max, risk_count, risk_sum, high_risk_count'
  end;
  answer constant text := case
    when quantile is not null and threshold_bin is null then
      ', sums as materialized (
         select
           row_number() over () as place, -- to group and sort by, which is slow by text
           as_of, service,
           sum(total_requests)::bigint as requests,
           sum(latency_count) as latency_count,
           min(latency_min) as latency_min,
           max(latency_max) as latency_max
         from covered
         group by as_of, service
       ),
       bins as (
         select
           place,
           first_bin + ordinality - 1 as bin,
           sum(sum(count)) over (partition by place order by first_bin + ordinality) as up_to
         from sums
         join covered using (as_of, service)
         cross join unnest(covered.histogram) with ordinality as counts (count, ordinality)
         where count > 0
         group by place, first_bin + ordinality
       ),
       percentile_bins as (
         select sums.place, min(bin) filter (where up_to >= $9 * latency_count) as bin
         from bins
         join sums on sums.place = bins.place
         group by sums.place
       )
       select as_of, service, internal.histogram_bin_middle(bin, latency_min, latency_max), requests, null::double precision
       from sums
       left join percentile_bins using (place)'
    when quantile is not null then
      ', sums as (
         select
           as_of, service,
           sum(total_requests)::bigint as requests,
           nullif(sum(latency_count), 0)::double precision as latency_count,
           min(latency_min) as latency_min,
           max(latency_max) as latency_max,
           sum(in_bin) as in_bin,
           sum(below_bin) as below_bin
         from covered
         group by as_of, service
       )
       select
         as_of, service,
         internal.histogram_bin_middle(
           case
             when below_bin >= $9 * latency_count then $11 - 1
             when below_bin + in_bin >= $9 * latency_count then $11
             when latency_count > 0 then $11 + 1
           end,
           latency_min, latency_max
         ),
         requests,
         1 - (below_bin + in_bin) / latency_count
       from sums'
    else format(
      'select as_of, service, (%s)::double precision, %s, null::double precision from covered group by as_of, service',
      case metric
        when 'error_rate' then 'internal.error_rate(sum(failed_requests)::bigint, sum(total_requests)::bigint)'
        when 'error_count' then 'sum(failed_requests)'
        when 'total_requests' then 'sum(total_requests)'
        when 'throughput' then 'sum(total_requests) / extract(epoch from $10)'
        when 'latency_mean' then 'sum(latency_sum) / nullif(sum(latency_count), 0)'
        when 'latency_max' then 'max(latency_max)'
        when 'avg_risk_score' then 'sum(risk_sum) / nullif(sum(risk_count), 0)'
        when 'high_risk_count' then 'sum(high_risk_count)'
        when 'unique_users' then 'coalesce(internal.sketch_estimate(bit_or(users)), 0)'
      end,
      case when internal.is_count(metric) then 'null::bigint' else 'sum(total_requests)::bigint' end
    )
  end;
begin
  return query execute format(
    'with spans as materialized (
       select as_of, only_service, generate_series(width_bucket(since, $3), width_bucket(until, $3) - 1) as segment
       from unnest($7, $8, $1, $2) as windows (as_of, only_service, since, until)
     ),
     pieces as (
       select since, until
       from (
         select edge as since, lead(edge) over (order by edge) as until
         from (
           select unnest($3) as edge
           union
           select unnest($4)
           union
           select unnest($4) + interval ''10 s''
         ) as edges
       ) as neighbours
       where date_bin(interval ''10 s'', since, timestamptz ''2000-01-01 00:00:00+00'') = any ($4)
     ),
     parts as materialized (
       select width_bucket(bucket, $3) as segment, service, %2$s
       from %1$s
       where bucket >= $5 and bucket < $6
         and bucket <> all ($4)
         and (service = any ($8)) is not false
       union all
       select width_bucket(since, $3), service, %2$s
       from pieces
       cross join lateral internal.event_rows(since, until)
       where (service = any ($8)) is not false
     ),
     covered as (
       select as_of, parts.*
       from spans
       join parts on parts.segment = spans.segment and coalesce(parts.service = only_service, true)
     )
     %3$s',
    level.relation, columns, answer
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
  'requests is NULL where min_requests does not apply. Exact where internal.series_level says so; with compared_with a percentile is '
  'exact only in how it compares with that, and share_above (0..1) is the part of the latencies in the bins above.';

revoke all on function internal.metric_series(text, interval, timestamptz[], text[], double precision) from public;
