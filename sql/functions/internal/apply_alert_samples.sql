-- The state machine of alerts, for all rules and services in one statement; internal.next_alert_state has its timing.
-- Only rows that change are written: a second without changes costs the reading of the metrics. Rows that somebody else holds,
-- such as an edit of a rule that is not committed yet, are left for the next evaluation instead of waited for.
-- enable_nestloop off: nobody can estimate what breaches, and a nested loop over 10 000 alerts takes a minute, a hash join 50 ms.
create or replace function internal.apply_alert_samples(as_of timestamptz, samples internal.metric_sample[])
returns integer
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
set jit = off
as $$
declare
  -- how old the value of an alert may become before it is written again
  value_age constant interval := '10 s';
  -- an alert without data whose service is unknown for that long is over
  forgotten_after constant interval := '1 day';
  newest_batch constant timestamptz := (select max(updated_at) from internal.ingest_offsets);
  changes integer;
begin
  with breaching as materialized (
    select * from internal.breaching_pairs(as_of, samples)
  ),
  measured as materialized (
    select * from unnest(samples) where value is not null
  ),
  open_alerts as materialized (
    select
      alerts.*,
      rules.pending_period,
      rules.keep_firing_for,
      coalesce(breaching.value, measured.value) as measured_value,
      case
        when rules.id is null then 'rule_deleted'
        when not rules.enabled then 'rule_disabled'
        when rules.version <> alerts.rule_version then 'rule_changed'
        when rules.last_error is not null then 'evaluation_failed'
        when breaching.rule_id is not null and breaching.value is null then 'no_data'
        when breaching.rule_id is not null then 'breach'
        when measured.service is not null then 'clean'
        when rules.on_no_data <> 'ok'
          and rules.service = '*'
          and not exists (select from internal.known_services(as_of) as known where known.service = alerts.service)
          and coalesce(
            (select services.last_seen from analytics.services where services.service = alerts.service),
            alerts.frozen_at
          ) <= as_of - forgotten_after then 'service_gone'
        else 'no_data'
      end::analytics.alert_reason as finding,
      rules.on_no_data
    from analytics.alerts
    left join analytics.alert_rules as rules on rules.id = alerts.rule_id
    left join breaching on breaching.rule_id = alerts.rule_id and breaching.service = alerts.service
    left join measured
      on measured.metric = rules.metric
      and measured.lookback = rules.lookback
      and measured.service = alerts.service
      and (measured.known or rules.service <> '*')
      and (measured.requests is null or measured.requests >= rules.min_requests)
    where alerts.status <> 'resolved'
  ),
  wanted as materialized (
    select
      open_alerts.*,
      next.*,
      case
        when new_status = 'active' and notified_at is null and not internal.is_silenced(rule_id, service, severity, as_of)
          then as_of
        else notified_at
      end as new_notified_at
    from open_alerts
    cross join lateral internal.next_alert_state(
      as_of, finding, measured_value, pending_period, keep_firing_for, on_no_data,
      status, reason, value, breaching_since, clean_since, frozen_at
    ) as next
  ),
  changing as materialized (
    select
      alerts.id,
      wanted.status as old_status,
      new_status, new_value, new_breaching_since, new_clean_since, new_frozen_at, new_notified_at,
      case
        when new_notified_at is distinct from wanted.notified_at and new_status = wanted.status then 'silence_ended'
        else new_reason
      end as new_reason,
      wanted.reason as old_reason
    from analytics.alerts
    join wanted on wanted.id = alerts.id
    where alerts.status <> 'resolved'
      and ((new_status, new_reason, new_breaching_since, new_clean_since, new_frozen_at, new_notified_at)
        is distinct from
          (wanted.status, wanted.reason, wanted.breaching_since, wanted.clean_since, wanted.frozen_at, wanted.notified_at)
        or (new_value is distinct from wanted.value and wanted.evaluated_at <= as_of - value_age))
    for update of alerts skip locked
  ),
  updated as (
    update analytics.alerts
    set
      -- unless it was acknowledged since the snapshot of this statement
      status = case when new_status = old_status then alerts.status else new_status end,
      reason = case when new_reason = old_reason then alerts.reason else new_reason end,
      value = new_value,
      evaluated_at = as_of,
      watermark = newest_batch,
      changed_at = case when (new_status, new_reason) = (old_status, old_reason) then changed_at else as_of end,
      triggered_at = case when new_status = 'active' then coalesce(triggered_at, as_of) else triggered_at end,
      resolved_at = case when new_status = 'resolved' then as_of end,
      notified_at = case when alerts.status = old_status then new_notified_at else notified_at end,
      breaching_since = new_breaching_since,
      clean_since = new_clean_since,
      frozen_at = new_frozen_at
    from changing
    where alerts.id = changing.id
      and alerts.status <> 'resolved'
    returning new_status <> old_status as is_transition
  ),
  started as (
    insert into analytics.alerts (
      rule_id, rule_name, rule_version, service, severity, labels, metric, operator, threshold, lookback,
      status, reason, value, started_at, triggered_at, notified_at, evaluated_at, changed_at, watermark, breaching_since
    )
    select
      rules.id, rules.name, rules.version, breaching.service, rules.severity, rules.labels, rules.metric, rules.operator,
      rules.threshold, rules.lookback,
      new_status, new_reason, new_value,
      as_of,
      case when new_status = 'active' then as_of end,
      case
        when new_status = 'active' and not internal.is_silenced(rules.id, breaching.service, rules.severity, as_of) then as_of
      end,
      as_of, as_of, newest_batch, new_breaching_since
    from breaching
    join analytics.alert_rules as rules on rules.id = breaching.rule_id
    cross join lateral internal.next_alert_state(
      as_of, case when breaching.value is null then 'no_data' else 'breach' end::analytics.alert_reason, breaching.value,
      rules.pending_period, rules.keep_firing_for, rules.on_no_data, null, null, null, null, null, null
    ) as next
    where not exists (
      select from open_alerts where open_alerts.rule_id = breaching.rule_id and open_alerts.service = breaching.service
    )
    returning 1
  )
  select (select count(*) from started) + (select count(*) from updated where is_transition) into changes;

  return changes;
end;
$$;

comment on function internal.apply_alert_samples(timestamptz, internal.metric_sample[]) is
  'Moves every alert to the state that the values of the metrics ask for at as_of; returns the number of transitions.';
