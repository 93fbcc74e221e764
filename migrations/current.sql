--! Message: data model

-- 000001: the whole data model. Until it is committed it starts from nothing each time.
create extension if not exists timescaledb;

--!include roles/create.sql

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
  '<name>(lookback interval, as_of timestamptz) returns table (service text, value double precision). Without as_of it cannot be '
  'previewed over the past.';

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

create type analytics.archived_tier as (
  tier text,
  compressed_chunks bigint,
  dropped_chunks bigint,
  deleted_rows bigint
);
comment on type analytics.archived_tier is 'What archive() did to one tier.';
comment on column analytics.archived_tier.tier is 'As in retention.';
comment on column analytics.archived_tier.compressed_chunks is 'Chunks that went to the columnstore.';
comment on column analytics.archived_tier.dropped_chunks is 'Chunks that were dropped.';
comment on column analytics.archived_tier.deleted_rows is 'Rows that were deleted: resolved alerts, their history, rejected events.';

create type analytics.statistics as (
  events_stored bigint,
  events_last_minute bigint,
  events_per_second double precision,
  newest_event timestamptz,
  services bigint,
  ingest_lag bigint,
  stored_at timestamptz,
  rejected_last_hour bigint,
  late_minutes bigint,
  rolled_up_until timestamptz,
  rules_enabled bigint,
  rules_failing bigint,
  alerts_pending bigint,
  alerts_firing bigint,
  evaluated_at timestamptz,
  messages_waiting bigint,
  events_bytes bigint,
  database_bytes bigint
);
comment on type analytics.statistics is 'The state of StackLens itself.';
comment on column analytics.statistics.events_stored is 'Events within the retention of the raw ones.';
comment on column analytics.statistics.events_last_minute is 'Events with a time in the last minute.';
comment on column analytics.statistics.events_per_second is 'Mean over the last minute.';
comment on column analytics.statistics.newest_event is 'Time of the newest event, within 10 s.';
comment on column analytics.statistics.services is 'Services seen in the last day.';
comment on column analytics.statistics.ingest_lag is 'Messages in Kafka that are not stored yet; NULL before the first batch.';
comment on column analytics.statistics.stored_at is 'When the newest batch was stored.';
comment on column analytics.statistics.rejected_last_hour is 'Messages rejected in the last hour.';
comment on column analytics.statistics.late_minutes is 'Minutes with late events that wait for their roll-up.';
comment on column analytics.statistics.rolled_up_until is 'Up to where the finest roll-up is materialized; newer events are aggregated when read.';
comment on column analytics.statistics.rules_enabled is 'Alert rules that are evaluated.';
comment on column analytics.statistics.rules_failing is 'Of those, the ones whose metric cannot be evaluated.';
comment on column analytics.statistics.alerts_pending is 'Alerts that breach, but not for long enough.';
comment on column analytics.statistics.alerts_firing is 'Alerts that are active or acknowledged.';
comment on column analytics.statistics.evaluated_at is 'When the alert rules were evaluated last.';
comment on column analytics.statistics.messages_waiting is 'Alert messages that Kafka has not got yet.';
comment on column analytics.statistics.events_bytes is 'Size of the raw events on disk, indexes included.';
comment on column analytics.statistics.database_bytes is 'Size of the database on disk.';

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
select create_hypertable('analytics.events', by_range('time', interval '1 hour'), create_default_indexes => false);
-- Ascending, not TimescaleDB's default: events come about in order of time, and at its right end a B-tree takes a row in 0.5 us less
-- and half the space. The index is a third to a half of what a row costs.
create index on analytics.events (time);

comment on table analytics.events is 'Request and log events as the services sent them, one row each.';
comment on column analytics.events.time is 'When it happened, by the clock of the service.';
comment on column analytics.events.ingested_at is 'When the transaction that stored it began.';
comment on column analytics.events.endpoint is 'Route or operation.';
comment on column analytics.events.level is 'error and critical count as failed.';
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

-- The worker owns them, since only its owner may refresh a continuous aggregate. Before 2.23.1 TimescaleDB makes a trigger on the
-- events for that.
grant usage, create on schema internal to stacklens_worker;
grant usage on schema analytics to stacklens_worker;
grant select, trigger on analytics.events to stacklens_worker;
set local role stacklens_worker;

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
comment on view internal.metrics_10s_v1 is
  'Roll-up of the events in buckets of 10 s, per service: additive state.';

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
comment on view internal.metrics_1min_v1 is
  'Roll-up of metrics_10s_v1 in buckets of 1 min: additive state, and the percentiles and distinct counts read from it.';

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
comment on view internal.metrics_5min_v1 is
  'Roll-up of metrics_1min_v1 in buckets of 5 min: additive state, and the percentiles and distinct counts read from it.';

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
comment on view internal.metrics_1hour_v1 is
  'Roll-up of metrics_5min_v1 in buckets of 1 h: additive state, and the percentiles and distinct counts read from it.';

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
comment on view internal.endpoint_metrics_1min_v1 is
  'Roll-up of the events in buckets of 1 min, per service and endpoint: additive state.';

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
comment on view internal.endpoint_metrics_5min_v1 is
  'Roll-up of endpoint_metrics_1min_v1 in buckets of 5 min: additive state, and the percentiles and distinct counts read from it.';

reset role;
revoke create on schema internal from stacklens_worker;
revoke trigger on analytics.events from stacklens_worker;

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

--!include views/retention_relations.sql
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

--
-- Alerts
--

create type internal.metric_sample as (
  metric text,
  lookback interval,
  service text,
  value double precision,
  requests bigint,
  known boolean
);
comment on type internal.metric_sample is
  'Value of a metric for a service over a lookback. requests is NULL where min_requests does not apply; known is false for a '
  'service that only rules name.';

create table analytics.alert_rules (
  id text primary key,
  name text not null,
  description text not null default '',
  service text not null default '*',
  metric text not null,
  operator text not null,
  threshold double precision not null,
  lookback interval not null,
  pending_period interval not null default '0',
  keep_firing_for interval not null default '0',
  min_requests integer not null default 0,
  on_no_data analytics.no_data_policy not null default 'keep',
  severity analytics.alert_severity not null,
  labels jsonb not null default '{}',
  enabled boolean not null default true,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  last_error text,
  failing_since timestamptz,
  constraint id_is_a_slug check (id ~ '^[a-z0-9]+([_-][a-z0-9]+)*$' and length(id) <= 100),
  constraint name_has_1_to_255_characters check (length(name) between 1 and 255),
  constraint service_has_1_to_255_characters check (length(service) between 1 and 255),
  constraint operator_is_one_of_the_six check (operator in ('>', '>=', '<', '<=', '==', '!=')),
  constraint threshold_is_finite check (threshold not in ('infinity', '-infinity', 'nan')),
  constraint lookback_is_at_least_1_second check (lookback >= interval '1 second'),
  constraint pending_period_is_not_negative check (pending_period >= interval '0'),
  constraint keep_firing_for_is_not_negative check (keep_firing_for >= interval '0'),
  constraint min_requests_is_not_negative check (min_requests >= 0),
  constraint labels_are_an_object check (jsonb_typeof(labels) = 'object')
);
create index on analytics.alert_rules (metric, lookback) where enabled;
comment on table analytics.alert_rules is
  'What is watched. A change takes effect at the next evaluation, within a second, and resets the open alerts of the rule.';
comment on column analytics.alert_rules.id is 'Slug: lower-case letters and digits, words joined by _ or -; at most 100 characters.';
comment on column analytics.alert_rules.name is 'For people.';
comment on column analytics.alert_rules.description is 'What it means when this fires, and what to do.';
comment on column analytics.alert_rules.service is '* for every service, each with an alert of its own; or the name of one.';
comment on column analytics.alert_rules.metric is
  'error_rate (percent), error_count, total_requests, throughput (per second), latency_p50, latency_p95, latency_p99, '
  'latency_mean, latency_max (ms), avg_risk_score, high_risk_count, unique_users, or a function in schema alert_metrics.';
comment on column analytics.alert_rules.operator is 'One of >, >=, <, <=, ==, !=: the rule breaches when metric operator threshold.';
comment on column analytics.alert_rules.threshold is 'In the unit of the metric.';
comment on column analytics.alert_rules.lookback is 'The metric covers this much time before the evaluation; at most the raw retention.';
comment on column analytics.alert_rules.pending_period is 'It must breach for this long without a break before it fires; for in Prometheus.';
comment on column analytics.alert_rules.keep_firing_for is 'It must be clean for this long before it is resolved.';
comment on column analytics.alert_rules.min_requests is
  'With fewer requests in the lookback, rates, percentiles and averages are no data; counts are not affected.';
comment on column analytics.alert_rules.on_no_data is
  'Without data: keep the state and stop its clocks, ok (clean), or alert (breaching).';
comment on column analytics.alert_rules.severity is 'Goes with the alert and its messages; silences can name it.';
comment on column analytics.alert_rules.labels is 'Object of anything; it goes with the alert.';
comment on column analytics.alert_rules.version is 'Counts the changes, from 1.';
comment on column analytics.alert_rules.last_error is 'Why its metric cannot be evaluated; NULL when it can. Its alerts are frozen.';
comment on column analytics.alert_rules.failing_since is 'Evaluation at which last_error began.';

create table analytics.alerts (
  id bigint generated always as identity primary key,
  rule_id text not null,
  rule_name text not null,
  rule_version integer not null,
  service text not null,
  severity analytics.alert_severity not null,
  labels jsonb not null,
  metric text not null,
  operator text not null,
  threshold double precision not null,
  lookback interval not null,
  status analytics.alert_status not null,
  reason text not null,
  value double precision,
  started_at timestamptz not null,
  triggered_at timestamptz,
  acknowledged_at timestamptz,
  acknowledged_by text,
  comment text,
  resolved_at timestamptz,
  resolved_by text,
  notified_at timestamptz,
  evaluated_at timestamptz not null,
  changed_at timestamptz not null,
  watermark timestamptz,
  breaching_since timestamptz not null,
  clean_since timestamptz,
  frozen_at timestamptz
) with (fillfactor = 70);
create unique index alerts_open_key on analytics.alerts (rule_id, service) where status <> 'resolved';
create index on analytics.alerts (triggered_at desc);
create index on analytics.alerts (resolved_at) where status = 'resolved';
create index on analytics.alerts (id) where status = 'resolved' and triggered_at is null;
comment on table analytics.alerts is
  'One episode of a rule on a service, from the first breach until it is resolved, with the rule as it was then. A pending one '
  'that never fires is dropped; alert_history keeps it.';
comment on column analytics.alerts.rule_version is 'Of the rule when the alert began; so are name, severity, labels, metric and the rest.';
comment on column analytics.alerts.severity is 'Of the rule.';
comment on column analytics.alerts.labels is 'Of the rule.';
comment on column analytics.alerts.threshold is 'Of the rule, in the unit of the metric.';
comment on column analytics.alerts.lookback is 'Of the rule: the metric covers this much time.';
comment on column analytics.alerts.status is 'pending, active, acknowledged (by a person, still firing), resolved.';
comment on column analytics.alerts.reason is
  'Why it is in this state: breach, keep_firing (clean, but not for long enough), no_data, evaluation_failed (both frozen unless '
  'the rule says otherwise), silence_ended, acknowledged, clean, service_gone, resolved_by_hand, rule_changed, rule_disabled, rule_deleted.';
comment on column analytics.alerts.value is 'Of the metric at evaluated_at; up to 10 s old while nothing changes. NULL: no data.';
comment on column analytics.alerts.started_at is 'Evaluation at which it began to breach.';
comment on column analytics.alerts.triggered_at is 'When it became active; NULL while it is pending.';
comment on column analytics.alerts.acknowledged_at is 'When a person said that they look at it; NULL: nobody did.';
comment on column analytics.alerts.resolved_at is 'When it ended; NULL while it is open.';
comment on column analytics.alerts.resolved_by is 'Who resolved it by hand; NULL: it ended by itself.';
comment on column analytics.alerts.comment is 'What was said last, when it was acknowledged or resolved by hand; alert_history has both.';
comment on column analytics.alerts.notified_at is 'When its triggered message was sent; NULL while it is pending or silenced.';
comment on column analytics.alerts.evaluated_at is 'Evaluation that value is from.';
comment on column analytics.alerts.changed_at is 'When status or reason changed last.';
comment on column analytics.alerts.watermark is 'When the newest batch that the evaluation could see had been stored.';
comment on column analytics.alerts.breaching_since is 'Where the clock of pending_period started: started_at, plus the time without data.';
comment on column analytics.alerts.clean_since is 'Where the clock of keep_firing_for started: the first clean evaluation.';
comment on column analytics.alerts.frozen_at is 'First evaluation without data; until there is data again both clocks stand still.';

create table analytics.alert_history (
  id bigint generated always as identity primary key,
  alert_id bigint not null,
  rule_id text not null,
  rule_version integer not null,
  service text not null,
  previous_status analytics.alert_status,
  status analytics.alert_status not null,
  reason text not null,
  value double precision,
  as_of timestamptz not null,
  watermark timestamptz,
  author text,
  comment text
);
create index on analytics.alert_history (alert_id);
create index on analytics.alert_history (rule_id, service, as_of desc);
create index on analytics.alert_history (as_of);
comment on table analytics.alert_history is
  'Every change of status or reason of every alert; it outlives rules and pending alerts.';
comment on column analytics.alert_history.alert_id is 'The alert; gone for a pending one that never fired.';
comment on column analytics.alert_history.rule_version is 'Of the rule when the alert began.';
comment on column analytics.alert_history.previous_status is 'NULL for the first of an alert.';
comment on column analytics.alert_history.status is 'The same as before where only the reason changed.';
comment on column analytics.alert_history.value is 'Of the metric at as_of, in its unit; NULL: no data.';
comment on column analytics.alert_history.reason is 'As in alerts.';
comment on column analytics.alert_history.as_of is 'The evaluation, or the moment somebody acknowledged, resolved or changed the rule.';
comment on column analytics.alert_history.watermark is 'When the newest batch that the evaluation could see had been stored.';
comment on column analytics.alert_history.author is 'Who acknowledged or resolved.';

create table analytics.silences (
  id bigint generated always as identity primary key,
  rule_id text references analytics.alert_rules on update cascade on delete cascade,
  service text,
  severity analytics.alert_severity,
  starts_at timestamptz not null default now(),
  ends_at timestamptz not null,
  reason text not null,
  created_by text not null default coalesce(nullif(current_setting('jwt.claims.sub', true), ''), current_user),
  created_at timestamptz not null default now(),
  constraint silence_ends_after_it_starts check (ends_at > starts_at),
  constraint reason_is_not_empty check (reason <> '')
);
create index on analytics.silences (ends_at);
create index on analytics.silences (rule_id);
comment on table analytics.silences is
  'Mutes alerts that fire within a time: they are seen, but send no message. One that still fires at the end sends it then; one '
  'whose triggered message was sent sends its resolved one even when silenced.';
comment on column analytics.silences.rule_id is 'NULL: every rule. A silence goes with the rule that it names.';
comment on column analytics.silences.service is 'NULL: every service.';
comment on column analytics.silences.severity is 'NULL: every severity.';
comment on column analytics.silences.starts_at is 'Alerts that fire from here on are muted.';
comment on column analytics.silences.ends_at is 'What still fires then is announced.';
comment on column analytics.silences.reason is 'For those who wonder why nothing came.';

create type analytics.alert_preview as (
  service text,
  status analytics.alert_status,
  reason text,
  started_at timestamptz,
  triggered_at timestamptz,
  resolved_at timestamptz,
  value double precision,
  worst_value double precision
);
comment on type analytics.alert_preview is 'An alert as it would have been.';
comment on column analytics.alert_preview.service is 'Name of the service.';
comment on column analytics.alert_preview.status is 'At the end of the range; resolved without triggered_at: it would have been pending only.';
comment on column analytics.alert_preview.reason is 'Of the status, as in alerts.';
comment on column analytics.alert_preview.started_at is 'Evaluation at which it would have begun to breach.';
comment on column analytics.alert_preview.triggered_at is 'When it would have fired; NULL: it would not.';
comment on column analytics.alert_preview.resolved_at is 'When it would have ended; NULL: it is open at the end of the range.';
comment on column analytics.alert_preview.value is 'Of the metric when it would have fired, or else at the start; NULL: no data.';
comment on column analytics.alert_preview.worst_value is
  'The farthest that the metric went beyond the threshold until the end; NULL for == and !=.';

create table internal.alert_evaluation (
  only_row boolean primary key default true check (only_row),
  evaluated_at timestamptz not null
);
insert into internal.alert_evaluation (evaluated_at) values ('-infinity');
comment on table internal.alert_evaluation is 'as_of of the last evaluation of the alert rules, one row.';

create table internal.alert_metric_rests (
  metric text,
  lookback interval,
  until timestamptz not null,
  primary key (metric, lookback)
);
comment on table internal.alert_metric_rests is 'Metrics of users that took too long, and until when they are left alone.';

create table internal.alert_messages (
  id bigint generated always as identity primary key,
  key text not null,
  message text not null,
  created_at timestamptz not null default now()
);
comment on table internal.alert_messages is 'JSON that Kafka has not got yet. Task publish_alert sends in the order of id, then deletes.';

create table internal.alert_publisher (
  only_row boolean primary key default true check (only_row),
  holder uuid,
  held_until timestamptz not null default '-infinity'
);
insert into internal.alert_publisher default values;
comment on table internal.alert_publisher is
  'Who sends alert messages, one at a time so that their order holds. A lease, since a worker that crashes cannot let go.';

--!include functions/internal/alert_metrics.sql
--!include functions/internal/known_services.sql
--!include functions/internal/check_alert_metric.sql
--!include functions/internal/check_alert_lookback.sql
--!include functions/internal/check_alert_rule.sql
--!include functions/internal/reset_alerts.sql
--!include functions/internal/alert_text.sql
--!include functions/internal/record_alert_history.sql
--!include functions/internal/notify_alert_changes.sql
--!include functions/internal/send_alert_messages.sql
--!include functions/internal/is_silenced.sql
--!include functions/internal/breaches.sql
--!include functions/internal/alert_window_rows.sql
--!include functions/internal/builtin_metric_samples.sql
--!include functions/internal/call_alert_metric.sql
--!include functions/internal/custom_metric_samples.sql
--!include functions/internal/breaching_pairs.sql
--!include functions/internal/hold_alert_messages.sql
--!include functions/internal/next_alert_messages.sql
--!include functions/internal/clean_up.sql
--!include functions/internal/next_alert_state.sql
--!include functions/internal/apply_alert_samples.sql
--!include functions/analytics/evaluate_alert_rules.sql
--!include functions/analytics/acknowledge_alert.sql
--!include functions/analytics/resolve_alert.sql
--!include functions/analytics/alert_stats.sql
--!include functions/internal/is_count.sql
--!include functions/internal/metric_series.sql
--!include functions/internal/known_periods.sql
--!include functions/internal/alert_timeline.sql
--!include functions/analytics/preview_alert_rule.sql
--!include views/active_alerts.sql

create trigger check_alert_rule
before insert or update on analytics.alert_rules
for each row execute function internal.check_alert_rule();

create trigger reset_alerts_of_changed_rules
after update on analytics.alert_rules
referencing old table as old_rules new table as new_rules
for each statement execute function internal.reset_alerts();

create trigger reset_alerts_of_deleted_rules
after delete on analytics.alert_rules
referencing old table as old_rules
for each statement execute function internal.reset_alerts();

create trigger record_new_alerts
after insert on analytics.alerts
referencing new table as new_alerts
for each statement execute function internal.record_alert_history();

create trigger record_changed_alerts
after update on analytics.alerts
referencing old table as old_alerts new table as new_alerts
for each statement execute function internal.record_alert_history();

create trigger send_alert_messages
after insert on analytics.alert_history
referencing new table as new_history
for each statement execute function internal.send_alert_messages();

create trigger notify_alert_changes
after insert on analytics.alert_history
referencing new table as new_history
for each statement execute function internal.notify_alert_changes();

insert into analytics.alert_rules (id, name, description, metric, operator, threshold, lookback, severity) values
  (
    'high_error_rate', 'High error rate', 'More than 5 % of the requests of a minute failed.',
    'error_rate', '>', 5, '60 s', 'warning'
  ),
  (
    'critical_error_rate', 'Critical error rate', 'More than 20 % of the requests of half a minute failed.',
    'error_rate', '>', 20, '30 s', 'critical'
  ),
  (
    'high_p99_latency', 'High p99 latency', 'One in a hundred requests of a minute took longer than 500 ms.',
    'latency_p99', '>', 500, '60 s', 'warning'
  ),
  (
    'critical_p99_latency', 'Critical p99 latency', 'One in a hundred requests of half a minute took longer than 1 s.',
    'latency_p99', '>', 1000, '30 s', 'critical'
  ),
  (
    'error_spike', 'Error spike', 'More than 100 requests failed within a minute.',
    'error_count', '>', 100, '60 s', 'warning'
  ),
  (
    'low_throughput', 'Low throughput', 'Fewer than 10 requests in 5 minutes; a service that went silent shows here.',
    'total_requests', '<', 10, '300 s', 'info'
  );

--
-- StackLens about itself
--

--!include functions/analytics/stats.sql
--!include functions/analytics/archive.sql
--!include functions/internal/ingest_status.sql
--!include functions/internal/prometheus.sql

--
-- Who may do what
--

--!include roles/grants.sql

--
-- Ad-hoc queries
--

--!include roles/adhoc.sql
