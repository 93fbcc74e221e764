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

-- Of a comment on a type or a function, the lines "- name: text" are about its values or arguments; GraphQL shows them there.

create type analytics.event_level as enum ('debug', 'info', 'warning', 'error', 'critical');
comment on type analytics.event_level is
  'Severity of an event, from the least to the most severe.
- debug: For developers; no failure.
- info: As it should be; no failure.
- warning: Odd, but no failure.
- error: Failed.
- critical: Failed, and somebody must act.';

create type analytics.resolution as enum ('one_minute', 'five_minutes', 'one_hour');
comment on type analytics.resolution is
  'Width of the buckets that metrics are given in.
- one_minute: Buckets of 1 minute.
- five_minutes: Buckets of 5 minutes.
- one_hour: Buckets of 1 hour.';

create type analytics.health as enum ('healthy', 'warning', 'critical');
comment on type analytics.health is
  'Health of a service over the last minute.
- healthy: Neither of the others.
- warning: More than 5 percent of the requests failed, or the 99th percentile of the latency is above 500 ms.
- critical: More than 20 percent of the requests failed.';

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
comment on column analytics.service_level.failed_requests is 'Events in the period with level error or critical.';
comment on column analytics.service_level.availability is
  'Share of the requests that did not fail, 100 * (1 - failed / total), in percent, from sums over the period.';
comment on column analytics.service_level.objective is 'The availability aimed at, in percent.';
comment on column analytics.service_level.met is 'Whether the availability is at least the objective.';
comment on column analytics.service_level.error_budget is 'Failed requests that the objective allows for the requests of the period.';
comment on column analytics.service_level.error_budget_remaining is
  'What is left of the error budget, in requests; negative when overspent.';
comment on column analytics.service_level.latency_p99 is '99th percentile of the latency in ms, within 2 %; null without latencies.';

create type analytics.retention_tier as enum ('raw', '10s', '1min', '5min', '1hour', 'alerts', 'rejected_events');
comment on type analytics.retention_tier is
  'What is kept for a time of its own.
- raw: Events as they were sent.
- 10s: Roll-up in buckets of 10 seconds.
- 1min: Roll-ups in buckets of 1 minute, per service and per endpoint.
- 5min: Roll-ups in buckets of 5 minutes, per service and per endpoint.
- 1hour: Roll-up in buckets of 1 hour.
- alerts: Resolved alerts, their history, and past silences.
- rejected_events: Messages that were no events.';

create type analytics.metrics_bucket as (
  bucket timestamptz,
  service text,
  total_requests bigint,
  successful_requests bigint,
  failed_requests bigint,
  error_rate double precision,
  latency_min double precision,
  latency_p50 double precision,
  latency_p95 double precision,
  latency_p99 double precision,
  latency_max double precision,
  latency_mean double precision,
  unique_users bigint,
  unique_ips bigint,
  avg_risk_score double precision,
  high_risk_count bigint
);
comment on type analytics.metrics_bucket is 'Metrics of a service in one bucket of the resolution that was asked for.';
comment on column analytics.metrics_bucket.bucket is 'Start of the bucket.';
comment on column analytics.metrics_bucket.service is 'Name of the service.';
comment on column analytics.metrics_bucket.total_requests is 'Events in the bucket.';
comment on column analytics.metrics_bucket.successful_requests is 'Events in the bucket that did not fail.';
comment on column analytics.metrics_bucket.failed_requests is 'Events in the bucket with level error or critical.';
comment on column analytics.metrics_bucket.error_rate is 'Failed requests in percent of all, 0..100.';
comment on column analytics.metrics_bucket.latency_min is 'Smallest latency in ms, exact; null without latencies.';
comment on column analytics.metrics_bucket.latency_p50 is 'Median latency in ms, within 2 %; null without latencies.';
comment on column analytics.metrics_bucket.latency_p95 is '95th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.metrics_bucket.latency_p99 is '99th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.metrics_bucket.latency_max is 'Largest latency in ms, exact; null without latencies.';
comment on column analytics.metrics_bucket.latency_mean is 'Mean latency in ms; null without latencies.';
comment on column analytics.metrics_bucket.unique_users is 'Distinct users, standard error 1.5 %.';
comment on column analytics.metrics_bucket.unique_ips is 'Distinct source addresses, standard error 1.5 %.';
comment on column analytics.metrics_bucket.avg_risk_score is 'Mean business risk score, 0..1; null when no event had one.';
comment on column analytics.metrics_bucket.high_risk_count is 'Events with a business risk score above 0.7.';

create type analytics.service_metrics as (
  service text,
  total_requests bigint,
  successful_requests bigint,
  failed_requests bigint,
  error_rate double precision,
  throughput double precision,
  latency_min double precision,
  latency_p50 double precision,
  latency_p95 double precision,
  latency_p99 double precision,
  latency_max double precision,
  latency_mean double precision,
  unique_users bigint,
  unique_ips bigint,
  avg_risk_score double precision,
  high_risk_count bigint
);
comment on type analytics.service_metrics is 'Metrics of a service over the whole range that was asked for.';
comment on column analytics.service_metrics.service is 'Name of the service.';
comment on column analytics.service_metrics.throughput is 'Mean events per second over the range.';
comment on column analytics.service_metrics.total_requests is 'Events in the range.';
comment on column analytics.service_metrics.successful_requests is 'Events in the range that did not fail.';
comment on column analytics.service_metrics.failed_requests is 'Events in the range with level error or critical.';
comment on column analytics.service_metrics.error_rate is 'Failed requests in percent of all, 0..100.';
comment on column analytics.service_metrics.latency_min is 'Smallest latency in ms, exact; null without latencies.';
comment on column analytics.service_metrics.latency_p50 is 'Median latency in ms, within 2 %; null without latencies.';
comment on column analytics.service_metrics.latency_p95 is '95th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.service_metrics.latency_p99 is '99th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.service_metrics.latency_max is 'Largest latency in ms, exact; null without latencies.';
comment on column analytics.service_metrics.latency_mean is 'Mean latency in ms; null without latencies.';
comment on column analytics.service_metrics.unique_users is 'Distinct users, standard error 1.5 %.';
comment on column analytics.service_metrics.unique_ips is 'Distinct source addresses, standard error 1.5 %.';
comment on column analytics.service_metrics.avg_risk_score is 'Mean business risk score, 0..1; null when no event had one.';
comment on column analytics.service_metrics.high_risk_count is 'Events with a business risk score above 0.7.';

create type analytics.archived_tier as (
  tier analytics.retention_tier,
  compressed_chunks bigint,
  dropped_chunks bigint,
  deleted_rows bigint
);
comment on type analytics.archived_tier is 'What archiving did to one tier.';
comment on column analytics.archived_tier.tier is 'What was kept.';
comment on column analytics.archived_tier.compressed_chunks is
  'Chunks, which are the parts of a table by time, that went to the columnstore.';
comment on column analytics.archived_tier.dropped_chunks is 'Chunks that were dropped, with all their rows.';
comment on column analytics.archived_tier.deleted_rows is
  'Rows that were deleted one by one: of alerts with their history, or of rejected events.';

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
comment on column analytics.statistics.events_stored is 'Events that are kept raw.';
comment on column analytics.statistics.events_last_minute is 'Events with a time in the last minute.';
comment on column analytics.statistics.events_per_second is 'Mean events per second over the last minute.';
comment on column analytics.statistics.newest_event is 'Time of the newest event, within 10 s; null without events.';
comment on column analytics.statistics.services is 'Services seen in the last day.';
comment on column analytics.statistics.ingest_lag is 'Messages in Kafka that are not stored yet; null before the first batch.';
comment on column analytics.statistics.stored_at is 'When the newest batch of events was stored; null before the first.';
comment on column analytics.statistics.rejected_last_hour is 'Messages rejected in the last hour.';
comment on column analytics.statistics.late_minutes is 'Minutes with late events that wait for their roll-up.';
comment on column analytics.statistics.rolled_up_until is
  'Up to where the finest roll-up is stored; newer events are aggregated when read. Null before the first refresh.';
comment on column analytics.statistics.rules_enabled is 'Alert rules that are evaluated.';
comment on column analytics.statistics.rules_failing is 'Of the enabled alert rules, those whose metric cannot be evaluated.';
comment on column analytics.statistics.alerts_pending is 'Alerts that breach, but not for long enough to fire.';
comment on column analytics.statistics.alerts_firing is 'Alerts that fire, acknowledged or not.';
comment on column analytics.statistics.evaluated_at is 'When the alert rules were evaluated last; null before the first time.';
comment on column analytics.statistics.messages_waiting is 'Alert messages that Kafka has not got yet.';
comment on column analytics.statistics.events_bytes is 'Size of the raw events on disk in bytes, indexes included.';
comment on column analytics.statistics.database_bytes is 'Size of the database on disk in bytes.';

create type analytics.alert_severity as enum ('info', 'warning', 'critical');
comment on type analytics.alert_severity is
  'How urgent an alert is.
- info: Good to know.
- warning: To be looked at soon.
- critical: To be looked at now.';

create type analytics.alert_operator as enum ('>', '>=', '<', '<=', '==', '!=');
comment on type analytics.alert_operator is
  'How a rule compares its metric with its threshold.
- >: Breaches above the threshold.
- >=: Breaches at the threshold and above.
- <: Breaches below the threshold.
- <=: Breaches at the threshold and below.
- ==: Breaches at exactly the threshold.
- !=: Breaches everywhere but at the threshold.';

create type analytics.alert_status as enum ('pending', 'active', 'acknowledged', 'resolved');
comment on type analytics.alert_status is
  'State of an alert.
- pending: It breaches, but not for long enough to fire.
- active: It fires.
- acknowledged: It fires, and somebody looks at it.
- resolved: It is over.';

create type analytics.alert_reason as enum (
  'breach', 'keep_firing', 'no_data', 'evaluation_failed', 'silence_ended', 'acknowledged',
  'clean', 'service_gone', 'resolved_by_hand', 'rule_changed', 'rule_disabled', 'rule_deleted'
);
comment on type analytics.alert_reason is
  'Why an alert is in its state, or why it was resolved.
- breach: The metric breaches the threshold.
- keep_firing: The metric is clean, but not for as long as the rule wants it.
- no_data: The metric has no value; what that means is up to the rule.
- evaluation_failed: The metric cannot be evaluated; the alert is frozen.
- silence_ended: Its silence is over, and its message is out.
- acknowledged: A person looks at it.
- clean: Resolved: the metric does not breach any more.
- service_gone: Resolved: the service sent nothing for a day.
- resolved_by_hand: Resolved: a person ended it.
- rule_changed: Resolved: the rule was edited.
- rule_disabled: Resolved: the rule was switched off.
- rule_deleted: Resolved: the rule was deleted.';

create type analytics.no_data_policy as enum ('keep', 'ok', 'alert');
comment on type analytics.no_data_policy is
  'What an alert does while its metric has no value.
- keep: Stay in its state, with its clocks stopped.
- ok: Take it as clean.
- alert: Take it as a breach.';

create type analytics.alert_statistics as (
  severity analytics.alert_severity,
  total bigint,
  pending bigint,
  active bigint,
  acknowledged bigint,
  resolved bigint,
  triggered bigint,
  mean_time_to_acknowledge interval,
  mean_time_to_resolve interval
);
comment on type analytics.alert_statistics is 'How many alerts of a severity there are, and how fast they are dealt with.';
comment on column analytics.alert_statistics.severity is 'How urgent these alerts are.';
comment on column analytics.alert_statistics.total is 'Alerts that are open, or were resolved within the period.';
comment on column analytics.alert_statistics.pending is 'Alerts that are pending now.';
comment on column analytics.alert_statistics.active is 'Alerts that fire now and that nobody has acknowledged.';
comment on column analytics.alert_statistics.acknowledged is 'Alerts that fire now and that somebody looks at.';
comment on column analytics.alert_statistics.resolved is 'Alerts that were resolved within the period.';
comment on column analytics.alert_statistics.triggered is 'Alerts, of these, that began to fire within the period.';
comment on column analytics.alert_statistics.mean_time_to_acknowledge is
  'Mean time from the beginning of firing to the acknowledgement; null when none was acknowledged.';
comment on column analytics.alert_statistics.mean_time_to_resolve is
  'Mean time from the beginning of firing to the end; null when none was resolved.';

--
-- Lifecycle
--

create table analytics.retention (
  tier analytics.retention_tier primary key,
  keep interval not null check (keep > interval '0'),
  compress_after interval check (compress_after is null or (compress_after > interval '0' and tier = 'raw')),
  updated_at timestamptz not null default now()
);
comment on table analytics.retention is
  'How long each tier is kept. Editing a row in SQL changes the policies; a ladder that would roll up dropped data is refused.';
comment on column analytics.retention.tier is 'What is kept.';
comment on column analytics.retention.keep is 'Age at which rows are dropped; for raw also the oldest event that is accepted.';
comment on column analytics.retention.compress_after is
  'Age at which raw events move to the columnstore, which is smaller; null: never, as for the other tiers.';
comment on column analytics.retention.updated_at is 'When this was changed last.';

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

comment on table analytics.events is 'Request and log events as the services sent them, one row each. For operators.';
comment on column analytics.events.time is 'When it happened, by the clock of the service.';
comment on column analytics.events.ingested_at is 'When the transaction that stored it began.';
comment on column analytics.events.endpoint is 'Route or operation; null for what has none.';
comment on column analytics.events.level is 'Severity; error and critical count as failed.';
comment on column analytics.events.status_code is 'HTTP status, 100..599; null for what has none.';
comment on column analytics.events.latency_ms is 'Duration in ms, not negative; null for what has none.';
comment on column analytics.events.error_message is 'What went wrong, in words, at most 8 KiB; null for what has none.';
comment on column analytics.events.error_count is 'Errors that the service counted within this event.';
comment on column analytics.events.business_risk_score is
  'Risk that the service sees in it, 0..1; above 0.7 is high. Null when it was not sent.';
comment on column analytics.events.attributes is 'Every other field of the event, a JSON object; null when there is none.';
comment on column analytics.events.service is 'Name of the service that sent it.';
comment on column analytics.events.request_id is 'Identifier of the request; null when it was not sent.';
comment on column analytics.events.user_id is 'Identifier of the user who made the request; null when it was not sent.';
comment on column analytics.events.source_ip is 'Address that the request came from; null when it was not sent.';
comment on column analytics.events.geo_country is 'Country that the request came from; null when it was not sent.';
comment on column analytics.events.user_subscription_tier is 'Subscription of the user; null when it was not sent.';
comment on column analytics.events.trace_id is 'Identifier of the trace; null when it was not sent.';
comment on column analytics.events.span_id is 'Identifier of the span within the trace; null when it was not sent.';

create table analytics.services (
  service text primary key,
  first_seen timestamptz not null,
  last_seen timestamptz not null,
  known_since timestamptz not null default now()
);
comment on table analytics.services is 'Services that have sent an event within the longest retention.';
comment on column analytics.services.first_seen is 'Time of the first event received.';
comment on column analytics.services.last_seen is 'Time of the newest event received, kept to within 10 s.';
comment on column analytics.services.service is 'Name of the service.';
comment on column analytics.services.known_since is
  'When its first event was received, or the first one after a day without any: from then on silence is a measured zero.';

create type analytics.reject_reason as enum (
  'empty_message', 'too_large', 'invalid_utf8', 'invalid_json', 'not_an_object', 'too_deep', 'invalid_text', 'invalid_number',
  'missing_field', 'invalid_field', 'too_late', 'too_early', 'database_error'
);
comment on type analytics.reject_reason is
  'Rule of the contract that a message breaks.
- empty_message: It has no value.
- too_large: It is too large.
- invalid_utf8: It is not UTF-8.
- invalid_json: It is not JSON.
- not_an_object: It is JSON, but not an object.
- too_deep: It has too many levels of objects and arrays.
- invalid_text: A text has U+0000 or half of a surrogate pair.
- invalid_number: A number is too large or too long.
- missing_field: The timestamp, service or level is missing.
- invalid_field: A field breaks its rule.
- too_late: It is older than raw events are kept; the roll-ups of that time are final.
- too_early: It is too far ahead of the clock of the ingester.
- database_error: The database refused the row.';

create table analytics.rejected_events (
  id bigint generated always as identity primary key,
  received_at timestamptz not null default now(),
  topic text not null,
  partition integer not null,
  "offset" bigint not null,
  reason analytics.reject_reason not null,
  detail text not null,
  payload text,
  unique (topic, partition, "offset")
);
create index on analytics.rejected_events (received_at);
comment on table analytics.rejected_events is 'Messages that are not events by the contract, with what is wrong about them. For operators.';
comment on column analytics.rejected_events.reason is 'Which rule it breaks.';
comment on column analytics.rejected_events.detail is 'The broken rule in words, with the field and its value.';
comment on column analytics.rejected_events.payload is
  'The message as text, cut at 8 KiB; bytes that are not UTF-8 as replacement characters, NUL as U+2400. Null for a message '
  'without a value.';
comment on column analytics.rejected_events.id is 'Number of the rejected message.';
comment on column analytics.rejected_events.received_at is 'When it was read from Kafka.';
comment on column analytics.rejected_events.topic is 'Kafka topic of the message.';
comment on column analytics.rejected_events.partition is 'Number of the Kafka partition, from 0.';
comment on column analytics.rejected_events."offset" is 'Kafka offset of the message within its partition.';

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
--!include functions/internal/latency_histogram_bin.sql
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
    filter (where latency_ms is not null) as latency_histogram, -- it takes NULL for 0
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
    filter (where latency_ms is not null) as latency_histogram, -- it takes NULL for 0
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
  known boolean,
  whole boolean
);
comment on type internal.metric_sample is
  'Value of a metric for a service over a lookback. requests is NULL where min_requests does not apply; known is false for a '
  'service that only rules name; whole is false for a count over a time in which the service was not known yet: there may have been more.';

create table analytics.alert_rules (
  id text primary key,
  name text not null,
  description text not null default '',
  service text not null default '*',
  metric text not null,
  operator analytics.alert_operator not null,
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
comment on column analytics.alert_rules.id is
  'Name of the rule for programs, a slug: lower-case letters and digits, words joined by _ or -; at most 100 characters.';
comment on column analytics.alert_rules.name is 'Name of the rule for people, 1 to 255 characters.';
comment on column analytics.alert_rules.description is 'What it means when this fires, and what to do.';
comment on column analytics.alert_rules.service is
  'Name of the service that it watches, or * (the default) for every service, each with an alert of its own.';
comment on column analytics.alert_rules.metric is
  'What is measured: error_rate (percent), error_count (failed requests), total_requests, throughput (requests per second), '
  'latency_p50, latency_p95, latency_p99, latency_mean, latency_max (ms), avg_risk_score (0..1), high_risk_count, unique_users, '
  'or the name of a function in schema alert_metrics.';
comment on column analytics.alert_rules.operator is 'How the metric is compared with the threshold to breach.';
comment on column analytics.alert_rules.threshold is 'What the metric is compared with, in its unit.';
comment on column analytics.alert_rules.lookback is
  'Time before the evaluation that the metric covers: at least 1 second, at most as long as raw events are kept.';
comment on column analytics.alert_rules.pending_period is
  'How long it must breach without a break before it fires; 0 (the default): at once. Prometheus calls it "for".';
comment on column analytics.alert_rules.keep_firing_for is
  'How long it must be clean before its alert is resolved; 0 (the default): at once.';
comment on column analytics.alert_rules.min_requests is
  'Requests that the lookback must hold: with fewer, rates, percentiles and averages are no data; counts are not affected. '
  'Default 0.';
comment on column analytics.alert_rules.on_no_data is 'What its alerts do while the metric has no value; by default they keep their state.';
comment on column analytics.alert_rules.severity is 'How urgent its alerts are; silences can name it.';
comment on column analytics.alert_rules.labels is 'JSON object of anything, which its alerts have, too.';
comment on column analytics.alert_rules.version is 'Number of the latest change, from 1.';
comment on column analytics.alert_rules.last_error is
  'Why its metric cannot be evaluated; null when it can. Its alerts are frozen meanwhile. For operators.';
comment on column analytics.alert_rules.failing_since is 'Evaluation since which its metric cannot be evaluated; null when it can.';
comment on column analytics.alert_rules.enabled is 'Whether it is evaluated (the default); if not, its open alerts are resolved.';
comment on column analytics.alert_rules.created_at is 'When it was made.';
comment on column analytics.alert_rules.updated_at is 'When it was changed last.';

create table analytics.alerts (
  id bigint generated always as identity primary key,
  rule_id text not null,
  rule_name text not null,
  rule_version integer not null,
  service text not null,
  severity analytics.alert_severity not null,
  labels jsonb not null,
  metric text not null,
  operator analytics.alert_operator not null,
  threshold double precision not null,
  lookback interval not null,
  status analytics.alert_status not null,
  reason analytics.alert_reason not null,
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
  'Episodes of a rule on a service, each from the first breach until it is resolved, with the rule as it was at its beginning. '
  'A pending one that never fires is dropped; its history stays.';
comment on column analytics.alerts.rule_version is 'Version of the rule when the alert began, a number from 1.';
comment on column analytics.alerts.severity is 'How urgent it is, by the rule when the alert began.';
comment on column analytics.alerts.labels is 'Labels of the rule when the alert began, a JSON object.';
comment on column analytics.alerts.threshold is 'Threshold of the rule when the alert began, in the unit of the metric.';
comment on column analytics.alerts.lookback is 'Time that the metric covers.';
comment on column analytics.alerts.status is 'State of the alert.';
comment on column analytics.alerts.reason is 'Why it is in this state.';
comment on column analytics.alerts.value is
  'Value of the metric, in its unit, at the evaluation; up to 10 s old while nothing changes. Null: no data.';
comment on column analytics.alerts.started_at is 'Evaluation at which it began to breach.';
comment on column analytics.alerts.triggered_at is 'When it began to fire; null while it is pending.';
comment on column analytics.alerts.acknowledged_at is 'When a person said that they look at it; null: nobody did.';
comment on column analytics.alerts.resolved_at is 'When it ended; null while it is open.';
comment on column analytics.alerts.resolved_by is
  'Who resolved it by hand: the subject of the token, or the database role; null: it ended by itself, or is open.';
comment on column analytics.alerts.comment is
  'What was said last, when it was acknowledged or resolved by hand; its history has both. Null: nothing.';
comment on column analytics.alerts.notified_at is 'When its triggered message was sent; null while it is pending or silenced.';
comment on column analytics.alerts.evaluated_at is 'Evaluation that the value is from.';
comment on column analytics.alerts.changed_at is 'When its state or reason changed last.';
comment on column analytics.alerts.watermark is
  'When the newest batch of events that the evaluation could see had been stored; null: there was none.';
comment on column analytics.alerts.breaching_since is
  'Where the clock of the pending period started: at the first breach, plus the time without data.';
comment on column analytics.alerts.clean_since is
  'Where the clock that ends it started: at the first clean evaluation, plus the time without data; null while it breaches.';
comment on column analytics.alerts.frozen_at is
  'First evaluation without data; until there is data again its clocks stand still. Null: there is data.';
comment on column analytics.alerts.id is 'Number of the alert.';
comment on column analytics.alerts.rule_id is 'Id of the rule; it may be gone by now.';
comment on column analytics.alerts.rule_name is 'Name of the rule when the alert began.';
comment on column analytics.alerts.service is 'Name of the service.';
comment on column analytics.alerts.metric is 'Metric of the rule when the alert began, such as error_rate.';
comment on column analytics.alerts.operator is 'How the metric is compared with the threshold to breach.';
comment on column analytics.alerts.acknowledged_by is 'Who looks at it: the subject of the token, or the database role; null: nobody does.';

create table analytics.alert_history (
  id bigint generated always as identity primary key,
  alert_id bigint not null,
  rule_id text not null,
  rule_version integer not null,
  service text not null,
  previous_status analytics.alert_status,
  status analytics.alert_status not null,
  reason analytics.alert_reason not null,
  value double precision,
  as_of timestamptz not null,
  watermark timestamptz,
  author text,
  comment text
);
create index on analytics.alert_history (alert_id);
create index on analytics.alert_history (rule_id, service, as_of desc);
create index on analytics.alert_history (as_of);
comment on table analytics.alert_history is 'Changes of state or reason of all alerts; they outlive rules and pending alerts.';
comment on column analytics.alert_history.alert_id is 'Number of the alert; one that never fired is gone.';
comment on column analytics.alert_history.rule_version is 'Version of the rule when the alert began, a number from 1.';
comment on column analytics.alert_history.previous_status is 'State before the change; null where the alert began.';
comment on column analytics.alert_history.status is 'State after the change; the same as before where only the reason changed.';
comment on column analytics.alert_history.value is 'Value of the metric at that moment, in its unit; null: no data.';
comment on column analytics.alert_history.reason is 'Why it is in this state.';
comment on column analytics.alert_history.as_of is
  'Moment of the evaluation, or of the acknowledgement, the resolving by hand or the change of the rule.';
comment on column analytics.alert_history.watermark is
  'When the newest batch of events that the evaluation could see had been stored; null: there was none.';
comment on column analytics.alert_history.author is 'Who acknowledged it or resolved it by hand; null for every other change.';
comment on column analytics.alert_history.id is 'Number of the change.';
comment on column analytics.alert_history.rule_id is 'Id of the rule; it may be gone by now.';
comment on column analytics.alert_history.service is 'Name of the service.';
comment on column analytics.alert_history.comment is 'What the author said; null: nothing.';

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
  'Times in which alerts are muted: they are seen, but send no message. One that still fires at the end sends it then; one '
  'whose triggered message was sent before sends its resolved one even when silenced.';
comment on column analytics.silences.rule_id is 'Id of the rule that it mutes, with which it is deleted; null: every rule.';
comment on column analytics.silences.service is 'Name of the service that it mutes; null: every service.';
comment on column analytics.silences.severity is 'Severity that it mutes; null: every severity.';
comment on column analytics.silences.starts_at is 'From when on alerts that begin to fire are muted; by default at once.';
comment on column analytics.silences.ends_at is 'Until when; what still fires then sends its message.';
comment on column analytics.silences.reason is 'Why, for those who wonder why no message came.';
comment on column analytics.silences.id is 'Number of the silence.';
comment on column analytics.silences.created_by is 'Who made it: the subject of the token, or the database role.';
comment on column analytics.silences.created_at is 'When it was made.';

create type analytics.alert_preview as (
  service text,
  status analytics.alert_status,
  reason analytics.alert_reason,
  started_at timestamptz,
  triggered_at timestamptz,
  resolved_at timestamptz,
  value double precision,
  worst_value double precision,
  resolution interval
);
comment on type analytics.alert_preview is 'An alert as it would have been.';
comment on column analytics.alert_preview.service is 'Name of the service.';
comment on column analytics.alert_preview.status is
  'State at the end of the range; resolved without having fired: it would have been pending only.';
comment on column analytics.alert_preview.reason is 'Why it would be in that state.';
comment on column analytics.alert_preview.started_at is 'Evaluation at which it would have begun to breach.';
comment on column analytics.alert_preview.triggered_at is 'When it would have fired; null: it would not.';
comment on column analytics.alert_preview.resolved_at is 'When it would have ended; null: it is open at the end of the range.';
comment on column analytics.alert_preview.value is
  'Value of the metric, in its unit, when it would have fired, or else at the start; null: no data.';
comment on column analytics.alert_preview.worst_value is
  'The farthest that the metric went beyond the threshold until the end, in its unit; of a percentile, what it was when the largest share '
  'of requests was beyond. null for == and !=, and where it never had a value.';
comment on column analytics.alert_preview.resolution is
  '0: the windows were exact when it began. Else they were widened to whole buckets of this width, because nothing finer is kept. '
  'null for a metric of schema alert_metrics.';

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
--!include functions/internal/series_level.sql
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
