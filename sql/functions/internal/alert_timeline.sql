-- The engine over a past range, for one rule that need not exist: values of the metric at each moment, and then, service by
-- service, internal.next_alert_state from one moment to the next. It begins without alerts.
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
  value double precision
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
  point record;
  finding analytics.alert_reason;
  current_service text := '';
  no_alert record;
  alert record;
begin
  select
    null::analytics.alert_status as new_status, null::analytics.alert_reason as new_reason, null::double precision as new_value,
    null::timestamptz as new_breaching_since, null::timestamptz as new_clean_since,
    null::timestamptz as new_frozen_at
  into no_alert;
  alert := no_alert;

  for point in
    with moments as materialized (
      select moment from unnest(alert_timeline.moments) as moment
    ),
    periods as materialized (
      select known.service, known.known_since, known.known_until
      from internal.known_periods(
        (select min(moment) from moments), (select max(moment) from moments)
      ) as known
      where only_service is null
    ),
    samples as materialized (
      select series.as_of as moment, series.service, series.value, series.requests
      from internal.metric_series(
        alert_timeline.metric, alert_timeline.lookback, alert_timeline.moments,
        array_fill(only_service, array[cardinality(alert_timeline.moments)]), alert_timeline.threshold
      ) as series
      where is_builtin
      union all
      select moment, custom.service, custom.value, null
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
    )
    select
      services.service,
      moment,
      case
        when samples.requests < alert_timeline.min_requests then null
        when samples.service is null and is_builtin and internal.is_count(alert_timeline.metric)
          and (periods.service is not null or only_service is not null) then 0
        else samples.value
      end as value,
      periods.service is not null or only_service is not null as is_expected,
      services.first_seen <= moment as was_known
    from services
    cross join moments
    left join samples using (service, moment)
    left join periods on periods.service = services.service and moment >= periods.known_since and moment < periods.known_until
    order by services.service, moment
  loop
    if point.service <> current_service then
      alert := no_alert;
    end if;
    current_service := point.service;

    finding := case
      when internal.breaches(point.value, alert_timeline.operator, alert_timeline.threshold) then 'breach'
      when point.value is not null then 'clean'
      when alert_timeline.on_no_data <> 'ok'
        and not point.is_expected
        and (point.was_known or alert.new_frozen_at <= point.moment - forgotten_after) then 'service_gone'
      else 'no_data'
    end;
    continue when alert.new_status is null
      and finding <> 'breach'
      and not (finding = 'no_data' and alert_timeline.on_no_data = 'alert' and point.is_expected);

    service := point.service;
    as_of := point.moment;
    previous_status := alert.new_status;
    select *
    into alert
    from internal.next_alert_state(
      point.moment, finding, point.value, alert_timeline.pending_period, alert_timeline.keep_firing_for, alert_timeline.on_no_data,
      alert.new_status, alert.new_reason, alert.new_value, alert.new_breaching_since, alert.new_clean_since, alert.new_frozen_at
    );
    status := alert.new_status;
    reason := alert.new_reason;
    value := alert.new_value;
    return next;

    if alert.new_status = 'resolved' then
      alert := no_alert;
    end if;
  end loop;
end;
$$;

comment on function internal.alert_timeline(
  text, analytics.alert_operator, double precision, interval, interval, interval, integer, analytics.no_data_policy, text, timestamptz[]
) is
  'What the alerts of a rule would have been at each of the moments, in ascending order: one row a service and moment with an alert. '
  'previous_status is NULL where it begins; its last row is resolved. The value of a percentile is exact only in how it compares with '
  'the threshold.';
