-- For a person who tunes a rule. It stores nothing, so that it may run in a read-only transaction and beside the evaluation.
create or replace function analytics.preview_alert_rule(
  metric text,
  operator analytics.alert_operator,
  threshold double precision,
  lookback interval,
  pending_period interval default '0',
  keep_firing_for interval default '0',
  min_requests integer default 0,
  on_no_data analytics.no_data_policy default 'keep',
  service text default '*',
  since timestamptz default now() - interval '24 hours',
  until timestamptz default now(),
  step interval default '1 minute'
)
returns setof analytics.alert_preview
language plpgsql
stable
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  origin constant timestamptz := '2000-01-01 00:00:00+00';
  max_moments constant integer := 10000;
  max_segments constant integer := 500000;
  owner constant text := 'the rule to preview';
  first_moment timestamptz;
  count_of_moments numeric;
  problem text;
  remedy text;
begin
  problem := case
    when metric is null then 'the metric is missing'
    when operator is null then 'the operator is missing'
    when threshold is null or threshold in ('infinity', '-infinity', 'nan')
      then format('the threshold is %s, but must be a finite number', coalesce(threshold::text, 'missing'))
    when (lookback >= interval '1 second') is not true
      then format('the lookback is %s, but must be at least 1 second', coalesce(lookback::text, 'missing'))
    when (pending_period >= interval '0') is not true
      then format('the pending period is %s, but must not be negative', coalesce(pending_period::text, 'NULL'))
    when (keep_firing_for >= interval '0') is not true
      then format('keep_firing_for is %s, but must not be negative', coalesce(keep_firing_for::text, 'NULL'))
    when (min_requests >= 0) is not true
      then format('min_requests is %s, but must not be negative', coalesce(min_requests::text, 'NULL'))
    when on_no_data is null then 'on_no_data is NULL, but must be keep, ok or alert'
    when (length(service) between 1 and 255) is not true then 'the service must be *, for every service, or the name of one'
    when (step >= interval '1 second') is not true
      then format('the step is %s, but must be at least 1 second', coalesce(step::text, 'NULL'))
    when extract(year from step) <> 0 or extract(month from step) <> 0
      then format('the step is %s, but must be made of days, hours, minutes and seconds', step)
    when (isfinite(since) and isfinite(until)) is not true then 'since and until must be two moments'
    when since >= until then format('since is %s, but must be before until, %s', since, until)
    when since < now() - (select max(keep) from analytics.retention where tier = '1hour')
      then format('since is %s, when nothing is kept of', since)
  end;
  if problem is not null then
    raise exception using errcode = 'invalid_parameter_value', message = 'preview_alert_rule: ' || problem;
  end if;
  perform internal.check_alert_metric(metric, owner);
  perform internal.check_alert_lookback(lookback, owner);
  if not (select takes_as_of from internal.alert_metrics() where name = metric) then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('preview_alert_rule: function alert_metrics.%I knows the present only', metric),
      hint = format(
        'Give it the moment as a second argument: alert_metrics.%I(lookback interval, as_of timestamptz) '
        'returns table (service text, value double precision).', metric
      );
  end if;

  first_moment := date_bin(step, since + step - interval '1 microsecond', origin);
  count_of_moments := floor(extract(epoch from until - first_moment) / extract(epoch from step)) + 1;
  if count_of_moments > max_moments then
    problem := format('%s evaluations from since to until, the bound is %s', count_of_moments, max_moments);
    remedy := 'Make the step longer or the range shorter.';
  elsif count_of_moments * ceil(extract(epoch from lookback) / extract(epoch from step)) > max_segments then
    problem := format(
      '%s evaluations with a lookback of %s steps, the bound is %s together',
      count_of_moments, ceil(extract(epoch from lookback) / extract(epoch from step)), max_segments
    );
    remedy := 'Make the step longer, or the range or the lookback shorter.';
  end if;
  if problem is not null then
    raise exception using errcode = 'invalid_parameter_value', message = 'preview_alert_rule: ' || problem, hint = remedy;
  end if;

  return query
    with timeline as materialized (
      select
        alert.*,
        count(*) filter (where alert.previous_status is null) over (partition by alert.service order by alert.as_of) as episode
      from internal.alert_timeline(
        metric, operator, threshold, lookback, pending_period, keep_firing_for, min_requests, on_no_data, service,
        array(select generate_series(first_moment, until, step))
      ) as alert
    ),
    percentiles as materialized (
      select series.service, series.as_of, series.value
      from internal.metric_series(
        metric, lookback,
        array(select timeline.as_of from timeline order by timeline.as_of, timeline.service),
        array(select timeline.service from timeline order by timeline.as_of, timeline.service)
      ) as series
      where metric in ('latency_p50', 'latency_p95', 'latency_p99') and series.requests >= min_requests
    ),
    valued as (
      select timeline.*, coalesce(percentiles.value, timeline.value) as exact_value
      from timeline
      left join percentiles on percentiles.service = timeline.service and percentiles.as_of = timeline.as_of
    )
    select
      valued.service,
      (array_agg(valued.status order by valued.as_of desc))[1],
      (array_agg(valued.reason order by valued.as_of desc))[1],
      min(valued.as_of),
      min(valued.as_of) filter (where valued.status = 'active'),
      min(valued.as_of) filter (where valued.status = 'resolved'),
      (array_agg(valued.exact_value order by valued.status = 'active' desc, valued.as_of))[1],
      case
        when operator in ('>', '>=') then max(valued.exact_value)
        when operator in ('<', '<=') then min(valued.exact_value)
      end
    from valued
    group by valued.service, valued.episode
    order by min(valued.as_of), valued.service;
end;
$$;

comment on function analytics.preview_alert_rule(
  text, analytics.alert_operator, double precision, interval, interval, interval, integer, analytics.no_data_policy, text,
  timestamptz, timestamptz, interval
) is
  'When a rule that need not be stored would have fired in the past, with the timing of the live evaluation: one row for each '
  'service and time that it would have begun to breach, oldest first. It is evaluated at each multiple of the step in the range, '
  'at most 10 000 times, beginning without alerts, as if all events had been there in time. A rule that makes no sense is an '
  'error that says why (SQLSTATE 22023 or 23514).
- metric: Metric of the rule: what an alert rule may name, but a function in schema alert_metrics needs a second argument, the moment.
- operator: How the metric is compared with the threshold to breach.
- threshold: What the metric is compared with, in its unit.
- lookback: Time before each evaluation that the metric covers; at least 1 second.
- pending_period: How long it must breach without a break before it fires; by default 0: at once.
- keep_firing_for: How long it must be clean before its alert is resolved; by default 0: at once.
- min_requests: Requests that the lookback must hold: with fewer, rates, percentiles and averages are no data; by default 0.
- on_no_data: What an alert does while the metric has no value; by default it keeps its state.
- service: The service to look at, or * (the default) for every service.
- since: Start of the range; by default 24 hours ago.
- until: End of the range, included; by default now.
- step: Time from one evaluation to the next, at least 1 second; by default 1 minute.';
