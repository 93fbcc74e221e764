-- Who may do what: all of it, in this one place. A migration that makes or replaces anything includes this file at its end.
-- It starts from nothing, so that what is not granted here is not granted.
-- Views and definer functions work with the rights of the owner: a viewer reads metrics without a right to any event.

revoke all on all tables in schema analytics, internal
from public, stacklens_ingest, stacklens_worker, stacklens_viewer, stacklens_operator, stacklens_server;
revoke all on all routines in schema analytics, internal
from public, stacklens_ingest, stacklens_worker, stacklens_viewer, stacklens_operator, stacklens_server;

grant usage on schema analytics, internal to stacklens_ingest, stacklens_worker, stacklens_viewer, stacklens_operator, stacklens_server;

-- Functions that only compute, which the views and the roll-ups call with the rights of the reader.
do $$
declare
  routine regprocedure;
begin
  for routine in
    select oid from pg_catalog.pg_proc where pronamespace = 'internal'::regnamespace and provolatile = 'i'
  loop
    execute format('grant execute on routine %s to stacklens_ingest, stacklens_worker, stacklens_viewer', routine);
  end loop;
end;
$$;

--
-- Viewer: everything but what says who somebody is or what exactly was sent. So no raw events, and of the high-risk ones
-- neither user_id nor source_ip. (Some columns of events cannot be granted: TimescaleDB hands a grant on to its compressed
-- hypertable, which has other columns.)
--

grant select on
  analytics.metrics_1min,
  analytics.metrics_5min,
  analytics.metrics_1hour,
  analytics.endpoint_metrics_5min,
  analytics.performance_trend,
  analytics.service_health,
  analytics.top_error_services,
  analytics.slowest_services,
  analytics.active_alerts,
  analytics.services,
  analytics.alerts,
  analytics.alert_history,
  analytics.silences,
  analytics.retention
to stacklens_viewer;

grant select (
  time, service, endpoint, level, status_code, latency_ms, business_risk_score, geo_country, user_subscription_tier,
  request_id, trace_id
) on analytics.high_risk_events to stacklens_viewer;

-- last_error quotes what a metric of a user stumbled over
grant select (
  id, name, description, service, metric, operator, threshold, lookback, pending_period, keep_firing_for, min_requests,
  on_no_data, severity, labels, enabled, version, created_at, updated_at, failing_since
) on analytics.alert_rules to stacklens_viewer;

grant execute on function
  analytics.metrics,
  analytics.service_summary,
  analytics.sla,
  analytics.alert_stats,
  analytics.preview_alert_rule,
  internal.alert_timeline, -- what the preview is made of
  internal.next_alert_state,
  internal.series_level,
  internal.metric_series,
  internal.known_periods,
  internal.alert_metrics,
  internal.call_alert_metric,
  internal.check_alert_metric,
  internal.check_alert_lookback,
  analytics.stats,
  internal.alert_text,
  internal.window_metrics
to stacklens_viewer;

--
-- Operator: a viewer (by membership) who sees the rest, too, edits rules and silences, acknowledges and archives
--

grant select on
  analytics.events,
  analytics.high_risk_events,
  analytics.alert_rules,
  analytics.rejected_events
to stacklens_operator;

grant
  insert (
    id, name, description, service, metric, operator, threshold, lookback, pending_period, keep_firing_for, min_requests,
    on_no_data, severity, labels, enabled
  ),
  update (
    name, description, service, metric, operator, threshold, lookback, pending_period, keep_firing_for, min_requests,
    on_no_data, severity, labels, enabled
  ),
  delete
on analytics.alert_rules to stacklens_operator;

grant
  insert (rule_id, service, severity, starts_at, ends_at, reason),
  update (rule_id, service, severity, starts_at, ends_at, reason),
  delete
on analytics.silences to stacklens_operator;

grant execute on function
  analytics.acknowledge_alert,
  analytics.resolve_alert,
  analytics.archive
to stacklens_operator;

-- Metrics of users, in a preview; they read events with the rights of who asks.
grant usage on schema alert_metrics to stacklens_operator;

--
-- Ingest: writes events and what goes with them
--

grant insert on analytics.events, internal.late_minutes to stacklens_ingest;
grant select, insert, update on analytics.services, analytics.rejected_events, internal.ingest_offsets to stacklens_ingest;
grant select on analytics.retention, internal.rollups to stacklens_ingest;
grant execute on function
  internal.commit_batch,
  internal.claim_partitions,
  internal.report_log_ends
to stacklens_ingest;

--
-- Worker: evaluates rules, sends messages, refreshes the roll-ups, cleans up
--

grant select on all tables in schema analytics, internal to stacklens_worker;
grant update on analytics.alert_rules to stacklens_worker; -- last_error
grant insert, update, delete on
  analytics.alerts,
  analytics.alert_history,
  internal.alert_evaluation,
  internal.alert_metric_rests,
  internal.alert_messages,
  internal.alert_publisher
to stacklens_worker;
grant delete on analytics.silences, analytics.rejected_events, analytics.services, internal.late_minutes to stacklens_worker;
grant update on internal.rollups to stacklens_worker;
grant usage on schema alert_metrics to stacklens_worker;
grant execute on all routines in schema internal to stacklens_worker;
grant execute on function analytics.evaluate_alert_rules to stacklens_worker;

do $$
declare
  item regclass;
begin
  -- The roll-ups are its own; what was taken away above comes back.
  for item in select relation from internal.rollups loop
    execute format('grant all on %s to stacklens_worker', item);
  end loop;

  -- Graphile Worker keeps its tables behind row security, of which only the owner is free.
  grant usage on schema graphile_worker to stacklens_worker;
  grant all on all tables in schema graphile_worker to stacklens_worker;
  grant all on all sequences in schema graphile_worker to stacklens_worker;
  grant execute on all routines in schema graphile_worker to stacklens_worker;
  for item in
    select oid
    from pg_catalog.pg_class
    where relnamespace = 'graphile_worker'::regnamespace and relkind = 'r' and relrowsecurity
  loop
    execute format('drop policy if exists stacklens_worker on %s', item);
    execute format('create policy stacklens_worker on %s to stacklens_worker using (true) with check (true)', item);
  end loop;
end;
$$;

--
-- Server: what /readyz and /metrics say; for everything else it becomes a viewer or an operator
--

grant execute on function
  internal.ingest_status,
  internal.prometheus
to stacklens_server;

do $$
begin
  if to_regclass('graphile_migrate.migrations') is not null then
    grant usage on schema graphile_migrate to stacklens_server;
    grant select on graphile_migrate.migrations to stacklens_server;
  end if;
end;
$$;
