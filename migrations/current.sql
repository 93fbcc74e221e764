-- 000001: the whole data model. Until it is committed it starts from nothing each time.
create extension if not exists timescaledb;

drop schema if exists alert_metrics cascade;
drop schema if exists analytics cascade;
drop schema if exists internal cascade;

create schema analytics;
create schema internal;
create schema alert_metrics;

comment on schema analytics is 'StackLens: events, metrics and alerts of services.';
comment on schema internal is 'What analytics is made of; nothing here is for clients.';
comment on schema alert_metrics is
  'The metrics that alert rules can name. Add one by creating a function here: '
  '<name>(lookback interval) returns table (service text, value double precision).';

--
-- Types
--

create type analytics.event_level as enum ('debug', 'info', 'warning', 'error', 'critical');
comment on type analytics.event_level is 'Severity of an event; error and critical count as failed.';

create type analytics.resolution as enum ('one_minute', 'five_minutes', 'one_hour');
comment on type analytics.resolution is 'Width of the buckets that metrics are given in.';

create type analytics.health as enum ('healthy', 'warning', 'critical');
comment on type analytics.health is
  'Health of a service over the last minute: critical when error_rate > 20 %, warning when error_rate > 5 % or latency_p99 > 500 ms.';

create type analytics.service_level as (
  service text,
  total_requests bigint,
  failed_requests bigint,
  availability double precision,
  objective double precision,
  met boolean,
  error_budget double precision,
  error_budget_remaining double precision,
  latency_p99 double precision
);
comment on type analytics.service_level is 'How a service kept its objective over a period.';
comment on column analytics.service_level.service is 'Name of the service.';
comment on column analytics.service_level.total_requests is 'Events in the period.';
comment on column analytics.service_level.failed_requests is 'Events with level error or critical.';
comment on column analytics.service_level.availability is '100 * (1 - failed / total), in percent, from sums over the period.';
comment on column analytics.service_level.objective is 'The availability aimed at, in percent.';
comment on column analytics.service_level.met is 'Whether availability is at least the objective.';
comment on column analytics.service_level.error_budget is 'Failed requests that the objective allows for the requests of the period.';
comment on column analytics.service_level.error_budget_remaining is 'What is left of the error budget, in requests; negative when overspent.';
comment on column analytics.service_level.latency_p99 is '99th percentile of the latency in ms, within 2 %.';

create type analytics.alert_severity as enum ('info', 'warning', 'critical');
comment on type analytics.alert_severity is 'How urgent an alert is.';

create type analytics.alert_status as enum ('pending', 'active', 'acknowledged', 'resolved');
comment on type analytics.alert_status is
  'pending: breaching, but not for long enough; active: firing; acknowledged: firing, and somebody looks at it; resolved: over.';

create type analytics.no_data_policy as enum ('keep', 'ok', 'alert');
comment on type analytics.no_data_policy is
  'What an alert does when its metric has no value: keep its state, take it as clean, or take it as breaching.';

--
-- Lifecycle
--

create table analytics.retention (
  tier text primary key check (tier in ('raw', '10s', '1min', '5min', '1hour', 'alerts', 'rejected_events')),
  keep interval not null check (keep > interval '0'),
  compress_after interval check (compress_after is null or (compress_after > interval '0' and tier = 'raw')),
  updated_at timestamptz not null default now()
);
comment on table analytics.retention is
  'How long each tier is kept. Editing a row changes the policies; a ladder that would roll up dropped data is refused.';
comment on column analytics.retention.tier is 'raw events, the four roll-up levels, resolved alerts, rejected events.';
comment on column analytics.retention.keep is 'Age at which rows are dropped; for raw also the oldest event that is accepted.';
comment on column analytics.retention.compress_after is 'Age at which raw events move to the columnstore; NULL: never, as for the other tiers.';

--
-- Events
--

create table analytics.events (
  time timestamptz not null,
  ingested_at timestamptz not null default now(),
  service text not null,
  endpoint text,
  level analytics.event_level not null,
  status_code smallint,
  latency_ms double precision,
  error_message text,
  error_count integer not null default 0,
  request_id text,
  user_id text,
  source_ip inet,
  geo_country text,
  user_subscription_tier text,
  business_risk_score double precision,
  trace_id text,
  span_id text,
  attributes jsonb
);
select create_hypertable('analytics.events', by_range('time', interval '1 hour'));

comment on table analytics.events is 'Request and log events as the services sent them, one row each.';
comment on column analytics.events.time is 'When it happened, by the clock of the service.';
comment on column analytics.events.ingested_at is 'When the transaction that stored it began.';
comment on column analytics.events.endpoint is 'Route or operation.';
comment on column analytics.events.status_code is 'HTTP status, 100..599.';
comment on column analytics.events.latency_ms is 'Duration in milliseconds, >= 0; NULL for what has none.';
comment on column analytics.events.error_message is 'At most 8 KiB.';
comment on column analytics.events.error_count is 'Errors that the service counted within this event.';
comment on column analytics.events.business_risk_score is '0..1; above 0.7 is high risk.';
comment on column analytics.events.attributes is 'Every field of the event that has no column; NULL when there is none.';

create table analytics.services (
  service text primary key,
  first_seen timestamptz not null,
  last_seen timestamptz not null
);
comment on table analytics.services is 'Every service that has sent an event within the longest retention.';
comment on column analytics.services.first_seen is 'Time of the first event received.';
comment on column analytics.services.last_seen is 'Time of the newest event received, kept to within 10 s.';

create table analytics.rejected_events (
  id bigint generated always as identity primary key,
  received_at timestamptz not null default now(),
  topic text not null,
  partition integer not null,
  "offset" bigint not null,
  reason text not null,
  detail text not null,
  payload text,
  unique (topic, partition, "offset")
);
create index on analytics.rejected_events (received_at);
comment on table analytics.rejected_events is 'Messages that are not events by the contract, with what is wrong about them.';
comment on column analytics.rejected_events.reason is
  'Code of the broken rule, such as invalid_json, missing_field, invalid_field, too_late, too_early.';
comment on column analytics.rejected_events.detail is 'The broken rule in words, with the field and its value.';
comment on column analytics.rejected_events.payload is
  'The message as text, cut at 8 KiB; bytes that are not UTF-8 as replacement characters, NUL as U+2400. NULL for a message without a value.';

create table internal.ingest_offsets (
  topic text not null,
  partition integer not null,
  next_offset bigint not null,
  log_end_offset bigint,
  updated_at timestamptz not null default now(),
  checked_at timestamptz not null default now(),
  primary key (topic, partition)
);
comment on table internal.ingest_offsets is
  'The next Kafka offset to store of each partition. It moves in the transaction that stores the events, so that each is stored once.';
comment on column internal.ingest_offsets.log_end_offset is
  'Offset after the last message in Kafka when an ingester last looked; minus next_offset it is the lag in messages.';
comment on column internal.ingest_offsets.updated_at is 'When next_offset last moved.';
comment on column internal.ingest_offsets.checked_at is
  'When an ingester last looked at the log of the partition: every 5 s while one runs.';

create table internal.late_minutes (
  id bigint generated always as identity primary key,
  minute timestamptz not null
);
comment on table internal.late_minutes is
  'Minutes that got events older than the roll-ups look back by themselves, waiting for their refresh. Rows are only inserted and '
  'deleted, never updated, so that ingesters do not wait for each other.';

--
-- Roll-ups: continuous aggregates that hold additive state only, each level made from the one below
--

--!include functions/internal/latency_histogram_axis.sql
--!include functions/internal/histogram_add.sql
--!include functions/internal/histogram_sum.sql
--!include functions/internal/histogram_bin_middle.sql
--!include functions/internal/histogram_percentiles.sql
--!include functions/internal/sketch_cell.sql
--!include functions/internal/sketch.sql
--!include functions/internal/exponential_integral.sql
--!include functions/internal/sketch_estimate.sql

create materialized view internal.metrics_10s_v1
with (timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.chunk_interval = '6 hours') as
select
  time_bucket(interval '10 seconds', time) as bucket,
  service,
  count(*) as total_requests,
  count(*) filter (where level >= 'error') as failed_requests,
  count(latency_ms) as latency_count,
  sum(latency_ms) as latency_sum,
  min(latency_ms) as latency_min,
  max(latency_ms) as latency_max,
  histogram(internal.latency_histogram_axis(latency_ms), ln(0.1::double precision), ln(6e5::double precision), 400)
    as latency_histogram,
  internal.sketch(internal.sketch_cell(hashtextextended(user_id, 0)), 1) as users,
  internal.sketch(internal.sketch_cell(hashinetextended(source_ip, 0)), 1) as ips,
  count(business_risk_score) as risk_count,
  sum(business_risk_score) as risk_sum,
  count(*) filter (where business_risk_score > 0.7) as high_risk_count
from analytics.events
group by 1, 2
with no data;

create materialized view internal.metrics_1min_v1
with (timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.chunk_interval = '12 hours') as
select
  time_bucket(interval '1 minute', bucket) as bucket,
  service,
  sum(total_requests)::bigint as total_requests,
  sum(failed_requests)::bigint as failed_requests,
  sum(latency_count)::bigint as latency_count,
  sum(latency_sum) as latency_sum,
  min(latency_min) as latency_min,
  max(latency_max) as latency_max,
  internal.histogram_sum(latency_histogram) as latency_histogram,
  internal.histogram_percentiles(
    internal.histogram_sum(latency_histogram), min(latency_min), max(latency_max), array[0.5, 0.95, 0.99]
  ) as latency_percentiles,
  bit_or(users) as users,
  bit_or(ips) as ips,
  internal.sketch_estimate(bit_or(users)) as unique_users,
  internal.sketch_estimate(bit_or(ips)) as unique_ips,
  sum(risk_count)::bigint as risk_count,
  sum(risk_sum) as risk_sum,
  sum(high_risk_count)::bigint as high_risk_count
from internal.metrics_10s_v1
group by 1, 2
with no data;

create materialized view internal.metrics_5min_v1
with (timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.chunk_interval = '1 day') as
select
  time_bucket(interval '5 minutes', bucket) as bucket,
  service,
  sum(total_requests)::bigint as total_requests,
  sum(failed_requests)::bigint as failed_requests,
  sum(latency_count)::bigint as latency_count,
  sum(latency_sum) as latency_sum,
  min(latency_min) as latency_min,
  max(latency_max) as latency_max,
  internal.histogram_sum(latency_histogram) as latency_histogram,
  internal.histogram_percentiles(
    internal.histogram_sum(latency_histogram), min(latency_min), max(latency_max), array[0.5, 0.95, 0.99]
  ) as latency_percentiles,
  bit_or(users) as users,
  bit_or(ips) as ips,
  internal.sketch_estimate(bit_or(users)) as unique_users,
  internal.sketch_estimate(bit_or(ips)) as unique_ips,
  sum(risk_count)::bigint as risk_count,
  sum(risk_sum) as risk_sum,
  sum(high_risk_count)::bigint as high_risk_count
from internal.metrics_1min_v1
group by 1, 2
with no data;

create materialized view internal.metrics_1hour_v1
with (timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.chunk_interval = '7 days') as
select
  time_bucket(interval '1 hour', bucket) as bucket,
  service,
  sum(total_requests)::bigint as total_requests,
  sum(failed_requests)::bigint as failed_requests,
  sum(latency_count)::bigint as latency_count,
  sum(latency_sum) as latency_sum,
  min(latency_min) as latency_min,
  max(latency_max) as latency_max,
  internal.histogram_sum(latency_histogram) as latency_histogram,
  internal.histogram_percentiles(
    internal.histogram_sum(latency_histogram), min(latency_min), max(latency_max), array[0.5, 0.95, 0.99]
  ) as latency_percentiles,
  bit_or(users) as users,
  bit_or(ips) as ips,
  internal.sketch_estimate(bit_or(users)) as unique_users,
  internal.sketch_estimate(bit_or(ips)) as unique_ips,
  sum(risk_count)::bigint as risk_count,
  sum(risk_sum) as risk_sum,
  sum(high_risk_count)::bigint as high_risk_count
from internal.metrics_5min_v1
group by 1, 2
with no data;

create materialized view internal.endpoint_metrics_1min_v1
with (timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.chunk_interval = '12 hours') as
select
  time_bucket(interval '1 minute', time) as bucket,
  service,
  endpoint,
  count(*) as total_requests,
  count(*) filter (where level >= 'error') as failed_requests,
  count(latency_ms) as latency_count,
  sum(latency_ms) as latency_sum,
  min(latency_ms) as latency_min,
  max(latency_ms) as latency_max,
  histogram(internal.latency_histogram_axis(latency_ms), ln(0.1::double precision), ln(6e5::double precision), 400)
    as latency_histogram,
  internal.sketch(internal.sketch_cell(hashtextextended(user_id, 0)), 1) as users,
  internal.sketch(internal.sketch_cell(hashinetextended(source_ip, 0)), 1) as ips,
  count(business_risk_score) as risk_count,
  sum(business_risk_score) as risk_sum,
  count(*) filter (where business_risk_score > 0.7) as high_risk_count
from analytics.events
where endpoint is not null
group by 1, 2, 3
with no data;

create materialized view internal.endpoint_metrics_5min_v1
with (timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.chunk_interval = '1 day') as
select
  time_bucket(interval '5 minutes', bucket) as bucket,
  service,
  endpoint,
  sum(total_requests)::bigint as total_requests,
  sum(failed_requests)::bigint as failed_requests,
  sum(latency_count)::bigint as latency_count,
  sum(latency_sum) as latency_sum,
  min(latency_min) as latency_min,
  max(latency_max) as latency_max,
  internal.histogram_sum(latency_histogram) as latency_histogram,
  internal.histogram_percentiles(
    internal.histogram_sum(latency_histogram), min(latency_min), max(latency_max), array[0.5, 0.95, 0.99]
  ) as latency_percentiles,
  bit_or(users) as users,
  bit_or(ips) as ips,
  internal.sketch_estimate(bit_or(users)) as unique_users,
  internal.sketch_estimate(bit_or(ips)) as unique_ips,
  sum(risk_count)::bigint as risk_count,
  sum(risk_sum) as risk_sum,
  sum(high_risk_count)::bigint as high_risk_count
from internal.endpoint_metrics_1min_v1
group by 1, 2, 3
with no data;

create table internal.rollups (
  name text primary key,
  relation regclass not null,
  source regclass not null,
  width interval not null,
  lookback interval not null,
  place integer not null unique,
  refreshed_until timestamptz
);
comment on table internal.rollups is
  'The continuous aggregates in the order of their refresh, and how far each is materialized.';
comment on column internal.rollups.source is 'What it is made from: the events, or another roll-up.';
comment on column internal.rollups.width is 'Width of a bucket.';
comment on column internal.rollups.lookback is
  'How far behind the newest closed bucket each refresh looks for changes by itself; older ones come through late_minutes.';
comment on column internal.rollups.refreshed_until is
  'End of the newest closed bucket that was materialized; NULL before the first refresh.';

insert into internal.rollups (place, name, relation, source, width, lookback) values
  (1, '10s', 'internal.metrics_10s_v1', 'analytics.events', '10 s', '2 min'),
  (2, '1min', 'internal.metrics_1min_v1', 'internal.metrics_10s_v1', '1 min', '5 min'),
  (3, '5min', 'internal.metrics_5min_v1', 'internal.metrics_1min_v1', '5 min', '20 min'),
  (4, '1hour', 'internal.metrics_1hour_v1', 'internal.metrics_5min_v1', '1 hour', '3 hours'),
  (5, 'endpoint_1min', 'internal.endpoint_metrics_1min_v1', 'analytics.events', '1 min', '5 min'),
  (6, 'endpoint_5min', 'internal.endpoint_metrics_5min_v1', 'internal.endpoint_metrics_1min_v1', '5 min', '20 min');

--!include functions/internal/stored_since.sql
--!include functions/internal/refresh_rollups.sql
--!include functions/internal/error_rate.sql
--!include functions/internal/event_rows.sql
--!include functions/internal/window_rows.sql
--!include functions/internal/window_metrics.sql

--
-- Ingest
--

--!include functions/internal/commit_batch.sql
--!include functions/internal/claim_partitions.sql
--!include functions/internal/report_log_ends.sql

--
-- Lifecycle: the policies follow analytics.retention
--

alter table analytics.events set (
  timescaledb.enable_columnstore = true,
  timescaledb.segmentby = 'service',
  timescaledb.orderby = 'time desc'
);

--!include functions/internal/apply_retention.sql

create trigger apply_retention
after insert or update or delete on analytics.retention
for each statement execute function internal.apply_retention();

--!include functions/internal/touch_updated_at.sql

create trigger touch_updated_at
before update on analytics.retention
for each row execute function internal.touch_updated_at();

insert into analytics.retention (tier, keep, compress_after) values
  ('raw', '1 day', '2 hours'),
  ('10s', '2 days', null),
  ('1min', '3 days', null),
  ('5min', '7 days', null),
  ('1hour', '30 days', null),
  ('alerts', '30 days', null),
  ('rejected_events', '30 days', null);

-- A safety net: the worker refreshes each second, the database itself each minute should the worker be down.
select add_job('internal.refresh_rollups', interval '1 minute');

--
-- What people read
--

--!include views/metrics_1min.sql
--!include views/metrics_5min.sql
--!include views/metrics_1hour.sql
--!include views/endpoint_metrics_5min.sql
--!include functions/internal/health.sql
--!include views/service_health.sql
--!include views/performance_trend.sql
--!include views/top_error_services.sql
--!include views/slowest_services.sql
--!include views/high_risk_events.sql
--!include functions/analytics/metrics.sql
--!include functions/analytics/service_summary.sql
--!include functions/analytics/sla.sql
