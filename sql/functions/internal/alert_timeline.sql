-- The engine over a past range, for one rule that need not exist: values of the metric at each moment, and then, service by
-- service, internal.next_alert_state from one moment to the next. It begins without alerts.
-- The state machine takes a step only where its answer can change: at the first moment of each stretch of the same finding, and
-- where a clock runs out within it. A step costs 20 us, and 24 hours of 20 services have up to 172 800 moments.
create or replace function internal.alert_timeline(
  metric text,
  operator analytics.alert_operator,
  threshold double precision,
  lookback interval,
  pending_period interval,
  keep_firing_for interval,
  min_requests integer,
  on_no_data analytics.no_data_policy,
  of_service text,
  moments timestamptz[]
)
returns table (
  service text,
  as_of timestamptz,
  previous_status analytics.alert_status,
  status analytics.alert_status,
  reason analytics.alert_reason,
  value double precision,
  worst_at timestamptz,
  worst_value double precision
)
language plpgsql
stable
parallel unsafe
set search_path = pg_catalog, pg_temp
set jit = off
as $$
#variable_conflict use_column
declare
  forgotten_after constant interval := '1 day';
  only_service constant text := nullif(of_service, '*');
  is_builtin constant boolean := (select builtin from internal.alert_metrics() where name = alert_timeline.metric);
  stretch record;
  place integer;
  finding analytics.alert_reason;
  measured double precision;
  clock_ends timestamptz;
  no_alert record;
  alert record;
begin
  select
    null::analytics.alert_status as new_status, null::analytics.alert_reason as new_reason, null::double precision as new_value,
    null::timestamptz as new_breaching_since, null::timestamptz as new_clean_since,
    null::timestamptz as new_frozen_at
  into no_alert;
  service := '';

  for stretch in
    with moments as materialized (
      select moment from unnest(alert_timeline.moments) as moment
    ),
    periods as materialized (
      select known.service, known.known_since, known.known_until
      from internal.known_periods(
        (select min(moment) from moments) - alert_timeline.lookback, (select max(moment) from moments)
      ) as known
      where only_service is null
    ),
    samples as materialized (
      select series.as_of as moment, series.service, series.value, series.requests, series.share_above
      from internal.metric_series(
        alert_timeline.metric, alert_timeline.lookback, alert_timeline.moments,
        array_fill(only_service, array[cardinality(alert_timeline.moments)]), alert_timeline.threshold
      ) as series
      where is_builtin
      union all
      select moment, custom.service, custom.value, null, null
      from moments
      cross join lateral internal.call_alert_metric(alert_timeline.metric, alert_timeline.lookback, moment) as custom
      where not is_builtin and custom.service = coalesce(only_service, custom.service)
    ),
    services as (
      select service, min(known_since) as first_seen
      from (
        select periods.service, periods.known_since from periods
        union all
        select distinct samples.service, null::timestamptz from samples
        union all
        select only_service, null where only_service is not null
      ) as listed
      group by service
    ),
    points as (
      select
        services.service,
        moment,
        samples.share_above,
        case
          when samples.requests < alert_timeline.min_requests then null
          when samples.service is null and is_builtin and internal.is_count(alert_timeline.metric)
            and (periods.service is not null or only_service is not null) then 0
          else samples.value
        end as value,
        periods.service is not null or only_service is not null as is_expected,
        only_service is not null
          or not internal.is_count(alert_timeline.metric)
          or periods.known_since <= moment - alert_timeline.lookback as is_whole,
        services.first_seen <= moment as was_known
      from services
      cross join moments
      left join samples using (service, moment)
      left join periods on periods.service = services.service and moment >= periods.known_since and moment < periods.known_until
    ),
    judged as (
      select
        service, moment, value,
        case
          when internal.breaches(value, alert_timeline.operator, alert_timeline.threshold)
            and (is_whole or alert_timeline.operator in ('>', '>=')) then 'breach'
          when value is not null then 'clean'
          when is_expected or alert_timeline.on_no_data = 'ok' then 'no_data'
          when was_known then 'service_gone'
          else 'unknown' -- no data, and gone when that has lasted
        end as finding,
        case
          when alert_timeline.operator in ('>', '>=') then coalesce(share_above, value)
          when alert_timeline.operator in ('<', '<=') then -coalesce(share_above, value)
        end as excess
      from points
    ),
    bounded as (
      select *, finding is distinct from lag(finding) over (partition by service order by moment) as begins from judged
    ),
    numbered as (
      select *, count(*) filter (where begins) over (partition by service order by moment) as number from bounded
    )
    select
      numbered.service,
      numbered.finding,
      array_agg(moment order by moment) as moments,
      array_agg(numbered.value order by moment) as values,
      (array_agg(moment order by excess desc, moment) filter (where numbered.finding = 'breach' and excess is not null))[1] as worst_at
    from numbered
    group by numbered.service, number, numbered.finding
    order by numbered.service, number
  loop
    if stretch.service <> service then
      alert := no_alert;
    end if;
    service := stretch.service;
    worst_at := stretch.worst_at;
    worst_value := stretch.values[width_bucket(worst_at, stretch.moments)];
    place := 1;

    while place <= cardinality(stretch.moments) loop
      exit when alert.new_status is null
        and stretch.finding <> 'breach'
        and not (stretch.finding = 'no_data' and alert_timeline.on_no_data = 'alert');

      as_of := stretch.moments[place];
      previous_status := alert.new_status;
      reason := alert.new_reason;
      measured := stretch.values[place];
      finding := case
        when stretch.finding <> 'unknown' then stretch.finding
        when alert.new_frozen_at <= as_of - forgotten_after then 'service_gone'
        else 'no_data'
      end;
      select next.*
      into alert
      from internal.next_alert_state(
        as_of, finding, measured,
        alert_timeline.pending_period, alert_timeline.keep_firing_for, alert_timeline.on_no_data,
        alert.new_status, alert.new_reason, alert.new_value, alert.new_breaching_since, alert.new_clean_since, alert.new_frozen_at
      ) as next;

      if (alert.new_status, alert.new_reason) is distinct from (previous_status, reason) then
        status := alert.new_status;
        reason := alert.new_reason;
        value := alert.new_value;
        return next;
        worst_at := null;
        worst_value := null;
      end if;
      if alert.new_status = 'resolved' then
        alert := no_alert;
        exit; -- only a breach begins the next one
      end if;

      clock_ends := case
        when alert.new_frozen_at is not null and stretch.finding = 'unknown' then alert.new_frozen_at + forgotten_after
        when alert.new_frozen_at is not null then 'infinity'
        when alert.new_clean_since is not null then
          alert.new_clean_since + extract(epoch from alert_timeline.keep_firing_for) * interval '1 s'
        when alert.new_status = 'pending' then
          alert.new_breaching_since + extract(epoch from alert_timeline.pending_period) * interval '1 s'
        else 'infinity'
      end;
      place := greatest(place, width_bucket(clock_ends - interval '1 microsecond', stretch.moments)) + 1;
    end loop;

    alert.new_value := case
      when stretch.finding in ('breach', 'clean') then stretch.values[cardinality(stretch.values)]
      else alert.new_value
    end;
  end loop;
end;
$$;

comment on function internal.alert_timeline(
  text, analytics.alert_operator, double precision, interval, interval, interval, integer, analytics.no_data_policy, text, timestamptz[]
) is
  'What would have happened to the alerts of a rule at each of the moments, in ascending order: one row a change of status or reason, as '
  'in alert_history. previous_status is NULL where an alert begins; where a breach begins, worst_at is the moment of it at which the '
  'metric is farthest beyond the threshold, for a percentile that with the largest share of requests beyond; NULL for == and !=. The '
  'value of a percentile is exact only in how it compares with the threshold.';
