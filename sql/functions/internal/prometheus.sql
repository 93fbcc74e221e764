-- What /metrics shows of the database. One row a sample; the server only writes it in the text format.
-- Definer: the server itself reads no table.
create or replace function internal.prometheus()
returns table (
  name text,
  help text,
  labels jsonb,
  value double precision
)
language sql
stable
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
  with
    stats as materialized (
      select * from analytics.stats()
    ),
    health as materialized (
      select * from analytics.service_health
    ),
    severities as (
      select severities.severity, count(alerts.id) as firing
      from unnest(enum_range(null::analytics.alert_severity)) as severities (severity)
      left join analytics.alerts on alerts.severity = severities.severity and alerts.status in ('active', 'acknowledged')
      group by severities.severity
    )
  select 'stacklens_events_stored', 'Raw events in the database, estimated.', '{}'::jsonb, events_stored::float8 from stats
  union all
  select 'stacklens_events_last_minute', 'Events of the last minute.', '{}', events_last_minute from stats
  union all
  select 'stacklens_newest_event_timestamp_seconds', 'Time of the newest event.', '{}', extract(epoch from newest_event)
  from stats
  union all
  select 'stacklens_rejected_last_hour', 'Messages of the last hour that were not events by the contract.', '{}', rejected_last_hour
  from stats
  union all
  select 'stacklens_late_minutes', 'Minutes with late events that wait for their roll-up.', '{}', late_minutes from stats
  union all
  select 'stacklens_rolled_up_until_timestamp_seconds', 'How far the 10 s roll-up is materialized.', '{}',
    extract(epoch from rolled_up_until)
  from stats
  union all
  select 'stacklens_ingest_lag_messages', 'Messages in Kafka that are not stored yet.',
    jsonb_build_object('topic', topic, 'partition', partition::text), greatest(log_end_offset - next_offset, 0)
  from internal.ingest_offsets
  union all
  select 'stacklens_ingest_stored_timestamp_seconds', 'When the last batch was stored.', '{}', extract(epoch from stored_at)
  from stats
  union all
  select 'stacklens_alert_rules_enabled', 'Alert rules that are evaluated.', '{}', rules_enabled from stats
  union all
  select 'stacklens_alert_rules_failing', 'Alert rules whose metric cannot be evaluated.', '{}', rules_failing from stats
  union all
  select 'stacklens_alerts_pending', 'Alerts that wait for their pending period.', '{}', alerts_pending from stats
  union all
  select 'stacklens_alerts_firing', 'Alerts that are active or acknowledged.',
    jsonb_build_object('severity', severity), firing
  from severities
  union all
  select 'stacklens_alert_evaluation_timestamp_seconds', 'When the alert rules were evaluated last.', '{}',
    extract(epoch from evaluated_at)
  from stats
  union all
  select 'stacklens_alert_messages_waiting', 'Alert messages that Kafka has not got yet.', '{}', messages_waiting from stats
  union all
  select 'stacklens_events_bytes', 'Size of the raw events.', '{}', events_bytes from stats
  union all
  select 'stacklens_database_bytes', 'Size of the database.', '{}', database_bytes from stats
  union all
  select 'stacklens_service_requests', 'Events of a service in the last minute.',
    jsonb_build_object('service', service), total_requests
  from health
  union all
  select 'stacklens_service_failed_requests', 'Events of a service with level error or critical in the last minute.',
    jsonb_build_object('service', service), failed_requests
  from health
  union all
  select 'stacklens_service_latency_p95_milliseconds', '95th percentile of the latency of a service over the last minute.',
    jsonb_build_object('service', service), latency_p95
  from health
  union all
  select 'stacklens_service_latency_p99_milliseconds', '99th percentile of the latency of a service over the last minute.',
    jsonb_build_object('service', service), latency_p99
  from health;
$$;

comment on function internal.prometheus() is
  'Gauges for GET /metrics: name, help, labels, value; value NULL where there is none. Samples of one name are together.';

revoke all on function internal.prometheus() from public;
