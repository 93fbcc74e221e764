-- For a person who tunes a rule. It stores nothing, so that it may run in a read-only transaction and beside the evaluation.
create or replace function analytics.preview_alert_rule(
  rule_id text default null,
  metric text default null,
  operator analytics.alert_operator default null,
  threshold double precision default null,
  lookback interval default null,
  pending_period interval default null,
  keep_firing_for interval default null,
  min_requests integer default null,
  on_no_data analytics.no_data_policy default null,
  service text default null,
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
  rule record;
  first_moment timestamptz;
  count_of_moments numeric;
  moments timestamptz[];
  is_builtin boolean;
  level record;
  problem text;
  remedy text;
begin
  select
    rules.metric, rules.operator, rules.threshold, rules.lookback, rules.pending_period, rules.keep_firing_for, rules.min_requests,
    rules.on_no_data, rules.service
  into rule
  from analytics.alert_rules as rules
  where rules.id = rule_id;
  if rule_id is not null and not found then
    raise exception using errcode = 'invalid_parameter_value', message = format('preview_alert_rule: there is no alert rule %s', rule_id);
  end if;
  metric := coalesce(metric, rule.metric);
  operator := coalesce(operator, rule.operator);
  threshold := coalesce(threshold, rule.threshold);
  lookback := coalesce(lookback, rule.lookback);
  pending_period := coalesce(pending_period, rule.pending_period, '0');
  keep_firing_for := coalesce(keep_firing_for, rule.keep_firing_for, '0');
  min_requests := coalesce(min_requests, rule.min_requests, 0);
  on_no_data := coalesce(on_no_data, rule.on_no_data, 'keep');
  service := coalesce(service, rule.service, '*');

  problem := case
    when metric is null then 'the metric is missing, and so is a rule_id to take it from'
    when operator is null then 'the operator is missing'
    when threshold is null or threshold in ('infinity', '-infinity', 'nan')
      then format('the threshold is %s, but must be a finite number', coalesce(threshold::text, 'missing'))
    when (lookback >= interval '1 second') is not true
      then format('the lookback is %s, but must be at least 1 second', coalesce(lookback::text, 'missing'))
    when pending_period < interval '0' then format('the pending period is %s, but must not be negative', pending_period)
    when keep_firing_for < interval '0' then format('keep_firing_for is %s, but must not be negative', keep_firing_for)
    when min_requests < 0 then format('min_requests is %s, but must not be negative', min_requests)
    when length(service) not between 1 and 255 then 'the service must be *, for every service, or the name of one'
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
  select builtin into is_builtin from internal.alert_metrics() where name = metric and takes_as_of;
  if not found then
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
  if problem is null then
    moments := array(select generate_series(first_moment, until, step));
    level := internal.series_level(moments, lookback);
    -- A minute of a bucket of five is no minute. Two buckets, since the default range begins where raw events end.
    if is_builtin and lookback < level.width and first_moment - lookback < level.exact_since - 2 * level.width then
      problem := format('since is %s, of when only buckets of %s are kept, longer than the lookback, %s', since, level.width, lookback);
      remedy := (
        select format('Take since => %L or later, or a longer lookback.', now() - max(retention.keep) + lookback)
        from analytics.retention
        left join internal.rollups on rollups.name = retention.tier::text
        where retention.tier = 'raw' or rollups.width <= lookback
      );
    end if;
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
        metric, operator, threshold, lookback, pending_period, keep_firing_for, min_requests, on_no_data, service, moments
      ) as alert
    ),
    wanted as materialized (
      select timeline.service, timeline.as_of from timeline where timeline.reason = 'breach'
      union
      select timeline.service, timeline.worst_at from timeline where timeline.worst_at is not null
    ),
    percentiles as materialized (
      select series.service, series.as_of, series.value
      from internal.metric_series(
        metric, lookback,
        array(select wanted.as_of from wanted order by wanted.as_of, wanted.service),
        array(select wanted.service from wanted order by wanted.as_of, wanted.service)
      ) as series
      where metric in ('latency_p50', 'latency_p95', 'latency_p99')
    ),
    valued as (
      select
        timeline.*,
        coalesce(at_change.value, timeline.value) as exact_value,
        coalesce(at_worst.value, timeline.worst_value) as exact_worst_value
      from timeline
      left join percentiles as at_change on at_change.service = timeline.service and at_change.as_of = timeline.as_of
      left join percentiles as at_worst on at_worst.service = timeline.service and at_worst.as_of = timeline.worst_at
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
        when operator in ('>', '>=') then max(valued.exact_worst_value)
        when operator in ('<', '<=') then min(valued.exact_worst_value)
      end,
      case
        when not is_builtin then null
        when min(valued.as_of) - lookback >= level.exact_since then interval '0'
        else level.width
      end
    from valued
    group by valued.service, valued.episode
    order by min(valued.as_of), valued.service;
end;
$$;

comment on function analytics.preview_alert_rule(
  text, text, analytics.alert_operator, double precision, interval, interval, interval, integer, analytics.no_data_policy, text,
  timestamptz, timestamptz, interval
) is
  'When a rule would have fired in the past, for each service, with the timing of the live evaluation: one row for each time that it would '
  'have begun to breach, oldest first. It is evaluated at each multiple of the step in the range, at most 10 000 times, beginning '
  'without alerts, as if all events had been there in time. A rule that makes no sense is an error that says why (SQLSTATE 22023 or 23514).
- rule_id: A stored rule, whose values the other arguments change for the preview. Without one the rule need not be stored, and metric, operator, threshold and lookback are needed.
- metric: Metric of the rule: what an alert rule may name, but a function in schema alert_metrics needs a second argument, the moment.
- operator: How the metric is compared with the threshold to breach.
- threshold: What the metric is compared with, in its unit.
- lookback: Time before each evaluation that the metric covers; at least 1 second.
- pending_period: How long it must breach without a break before it fires; without a stored rule by default 0: at once.
- keep_firing_for: How long it must be clean before its alert is resolved; without a stored rule by default 0: at once.
- min_requests: Requests that the lookback must hold: with fewer, rates, percentiles and averages are no data; without a stored rule by default 0.
- on_no_data: What an alert does while the metric has no value; without a stored rule by default it keeps its state.
- service: The service to look at, or * for every service; without a stored rule by default every service.
- since: Start of the range; by default 24 hours ago.
- until: End of the range, included; by default now.
- step: Time from one evaluation to the next, at least 1 second; by default 1 minute.';
