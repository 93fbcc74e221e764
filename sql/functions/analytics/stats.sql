-- What StackLens says of itself; GraphQL, /metrics and /readyz read it.
-- Definer: it counts in tables that clients cannot read.
create or replace function analytics.stats()
returns analytics.statistics
language sql
stable
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
begin atomic
  with
    -- from the roll-ups: the estimate of the planner is 0 until the first analyze
    stored as (
      select coalesce(sum(rows.total_requests), 0)::bigint as events
      from analytics.retention
      cross join internal.window_rows(now() - retention.keep, now() + interval '5 minutes') as rows
      where retention.tier = 'raw'
    ),
    last_minute as (
      select coalesce(sum(total_requests), 0)::bigint as events
      from internal.window_metrics(now() - interval '1 minute', now())
    ),
    alerts as (
      select
        count(*) filter (where status = 'pending') as pending,
        count(*) filter (where status in ('active', 'acknowledged')) as firing
      from analytics.alerts
      where status <> 'resolved'
    ),
    rules as (
      select count(*) filter (where enabled) as enabled, count(*) filter (where enabled and last_error is not null) as failing
      from analytics.alert_rules
    ),
    ingest as (
      select
        sum(greatest(log_end_offset - next_offset, 0))::bigint as lag,
        max(updated_at) as stored_at
      from internal.ingest_offsets
    )
  select row(
    stored.events,
    last_minute.events,
    last_minute.events / 60.0::double precision,
    (select max(last_seen) from analytics.services),
    (select count(*) from analytics.services where last_seen > now() - interval '1 day'),
    ingest.lag,
    ingest.stored_at,
    (select count(*) from analytics.rejected_events where received_at > now() - interval '1 hour'),
    (select count(distinct minute) from internal.late_minutes),
    (select refreshed_until from internal.rollups where name = '10s'),
    rules.enabled,
    rules.failing,
    alerts.pending,
    alerts.firing,
    (select nullif(evaluated_at, '-infinity') from internal.alert_evaluation),
    (select count(*) from internal.alert_messages),
    hypertable_size('analytics.events'),
    pg_database_size(current_database())
  )::analytics.statistics
  from stored, last_minute, alerts, rules, ingest;
end;

comment on function analytics.stats() is 'The state of StackLens itself: what it stores, how far behind it is, what fires.';

revoke all on function analytics.stats() from public;
