--! Previous: -
--! Hash: sha1:a553548d45b3565de5e50c40220d1d9888def646
--! Message: data model

-- 000001: the whole data model. Until it is committed it starts from nothing each time.
create extension if not exists timescaledb;

--! Included roles/create.sql
-- The roles of StackLens. They belong to the whole server, so they are made only where they are missing, and never changed.
-- The migration includes this file. On a server where the one who migrates may not create roles, an administrator runs it once:
-- psql -f sql/roles/create.sql
-- Logins have no password: give them one (alter role stacklens_server password ...), or let pg_hba.conf say how they come in.
do $$
declare
  role record;
  membership record;
begin
  for role in
    select *
    from (
      values
        ('stacklens_owner', 'login'), -- migrates, and owns what the migrations make
        ('stacklens_ingest', 'login'),
        ('stacklens_worker', 'login'),
        ('stacklens_viewer', 'nologin'),
        ('stacklens_operator', 'nologin'),
        ('stacklens_server', 'login noinherit') -- may do nothing by itself, only become a viewer or an operator
    ) as roles (name, attributes)
    where not exists (select from pg_catalog.pg_roles where rolname = name)
    order by name
  loop
    begin
      execute format('create role %I %s', role.name, role.attributes);
    exception
      when duplicate_object or unique_violation then
        null; -- made by a migration of another database of this server just now
      when insufficient_privilege then
        raise exception using
          errcode = 'insufficient_privilege',
          message = format(
            'role %s is missing and %s may not create roles: let an administrator run psql -f sql/roles/create.sql, then migrate again',
            role.name, current_user
          );
    end;
  end loop;

  for membership in
    select *
    from (
      values
        ('stacklens_viewer', 'stacklens_operator'),
        ('stacklens_viewer', 'stacklens_server'),
        ('stacklens_operator', 'stacklens_server'),
        ('stacklens_worker', 'stacklens_owner'), -- the worker has the roll-ups, whose policies the owner sets
        ('stacklens_worker', current_user)
    ) as memberships (granted, member)
    where granted <> member
      and not exists (
        select
        from pg_catalog.pg_auth_members
        where roleid = granted::regrole and pg_auth_members.member = memberships.member::regrole
      )
      -- who is a superuser needs none
      and not (member = current_user and pg_has_role(current_user, granted, 'usage'))
  loop
    begin
      execute format('grant %I to %I', membership.granted, membership.member);
    exception
      when duplicate_object or unique_violation then
        null;
      when insufficient_privilege then
        raise exception using
          errcode = 'insufficient_privilege',
          message = format(
            '%s is no member of %s and %s may not change that: let an administrator run psql -f sql/roles/create.sql, then migrate again',
            membership.member, membership.granted, current_user
          );
    end;
  end loop;
end;
$$;
--! EndIncluded roles/create.sql

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

--! Included functions/internal/latency_histogram_axis.sql
-- Where a latency falls on the histogram's axis. One place for the axis: ln(ms), 400 bins from 0.1 ms to 10 min, so that a
-- bin is 3.98 % wide and its middle is within 1.97 % of every value in it.
create or replace function internal.latency_histogram_axis(latency_ms double precision)
returns double precision
language sql
immutable
parallel safe
return ln(greatest(latency_ms, 0.001::double precision));

comment on function internal.latency_histogram_axis(double precision) is
  'Position of a latency (ms) on the logarithmic axis of the latency histograms; 0 ms, which has no logarithm, counts as 0.001 ms.';
--! EndIncluded functions/internal/latency_histogram_axis.sql
--! Included functions/internal/latency_histogram_bin.sql
-- Where histogram() counts a latency, which uses the same width_bucket.
create or replace function internal.latency_histogram_bin(latency_ms double precision)
returns integer
language sql
immutable
parallel safe
return width_bucket(internal.latency_histogram_axis(latency_ms), ln(0.1::double precision), ln(6e5::double precision), 400) + 1;

comment on function internal.latency_histogram_bin(double precision) is
  'Bin, 1..402, of the latency histograms in which a latency (ms) is counted.';
--! EndIncluded functions/internal/latency_histogram_bin.sql
--! Included functions/internal/histogram_add.sql
-- The transition of internal.histogram_sum: two histograms, bin by bin.
create or replace function internal.histogram_add(a integer[], b integer[])
returns integer[]
language sql
immutable
parallel safe
return case
  when a is null then b
  when b is null then a
  else array(select x + y from unnest(a, b) as bins (x, y))
end;

comment on function internal.histogram_add(integer[], integer[]) is
  'Sum of two histograms of the same shape, bin by bin; NULL counts as empty. Error 22003 when a bin exceeds 2147483647.';
--! EndIncluded functions/internal/histogram_add.sql
--! Included functions/internal/histogram_sum.sql
-- Merges histograms: the percentile of the sum is the percentile of all the events, which no average of percentiles is.
create or replace aggregate internal.histogram_sum(integer[]) (
  sfunc = internal.histogram_add,
  stype = integer[],
  combinefunc = internal.histogram_add,
  parallel = safe
);

comment on aggregate internal.histogram_sum(integer[]) is
  'Sum of histograms of the same shape, bin by bin; NULLs are left out, NULL for no histogram.';
--! EndIncluded functions/internal/histogram_sum.sql
--! Included functions/internal/histogram_bin_middle.sql
-- The value that stands for a bin: its geometric middle, which is within 1.97 % of every value in it.
create or replace function internal.histogram_bin_middle(
  bin bigint,
  smallest double precision,
  largest double precision
)
returns double precision
language sql
immutable
parallel safe
return case
  when bin is null then null
  when bin = 1 then smallest
  when bin = 402 then largest
  else least(greatest(exp(ln(0.1::double precision) + (bin - 1.5) * ln(6e6::double precision) / 400), smallest), largest)
end;

comment on function internal.histogram_bin_middle(bigint, double precision, double precision) is
  'Latency (ms) that stands for a bin of a latency histogram: its geometric middle, kept within [smallest, largest]. '
  'Bin 1 is below 0.1 ms and stands for the smallest, bin 402 is 10 min and above and stands for the largest.';
--! EndIncluded functions/internal/histogram_bin_middle.sql
--! Included functions/internal/histogram_percentiles.sql
-- All wanted percentiles in one pass over the bins: the pass costs 0.1 ms, whatever the number of fractions.
create or replace function internal.histogram_percentiles(
  histogram integer[],
  smallest double precision,
  largest double precision,
  fractions double precision[]
)
returns double precision[]
language sql
immutable
parallel safe
begin atomic
  with bins as (
    select bin, sum(count) over (order by bin) as up_to
    from unnest(histogram) with ordinality as h (count, bin)
    where count > 0
  ),
  total as (
    select max(up_to) as count from bins
  )
  select array_agg(
    internal.histogram_bin_middle(bin, smallest, largest)
    order by ordinality
  )
  from unnest(fractions) with ordinality as wanted (fraction, ordinality)
  cross join total
  left join lateral (
    select bins.bin from bins where bins.up_to >= wanted.fraction * total.count order by bins.bin limit 1
  ) as hit on true;
end;

comment on function internal.histogram_percentiles(integer[], double precision, double precision, double precision[]) is
  'Percentiles (ms) of a latency histogram by nearest rank (percentile_disc), one for each fraction (0..1), within 2 % between '
  '0.1 ms and 10 min, never outside [smallest, largest]. An empty or NULL histogram has NULL percentiles. '
  'Same idea and error bound as DDSketch (Masson, Rim, Lee: DDSketch, VLDB 2019).';
--! EndIncluded functions/internal/histogram_percentiles.sql
--! Included functions/internal/sketch_cell.sql
-- Which bit of the distinct-count sketch a value sets. The hash stands once: an argument that is repeated is hashed again.
-- Cell i of K = 24576 has probability proportional to exp(-i * R / K) with R = 8.1: from 3.3e-4 down to 1e-7.
create or replace function internal.sketch_cell(hash bigint)
returns integer
language sql
immutable
parallel safe
return floor(
  ln(1 - ((hash & 9007199254740991) / 9007199254740992::double precision) * 0.9996964604::double precision)
  / -0.00032958984375::double precision
)::integer;

comment on function internal.sketch_cell(bigint) is
  'Bit (0..24575) that a hashed value sets in a distinct-count sketch: cells of geometrically falling probability.';
--! EndIncluded functions/internal/sketch_cell.sql
--! Included functions/internal/sketch.sql
-- Builds a sketch: a call of set_bit a value, 0.25 us. The literal of the empty sketch is 24576 zeros, hence the execute.
do $$
begin
  execute format(
    'create or replace aggregate internal.sketch(integer, integer) (
       sfunc = set_bit, stype = bit, initcond = %L, combinefunc = bitor, parallel = safe
     )',
    repeat('0', 24576)
  );
end;
$$;

comment on aggregate internal.sketch(integer, integer) is
  'Distinct-count sketch of the cells given as first argument (internal.sketch_cell); the second argument is always 1. '
  'NULL cells are left out. Sketches merge with bit_or and are read by internal.sketch_estimate.';
--! EndIncluded functions/internal/sketch.sql
--! Included functions/internal/exponential_integral.sql
-- Ein(x) = integral from 0 to x of (1 - exp(-t)) / t: the expected fill of a sketch whose cells are log-uniform.
create or replace function internal.exponential_integral(x double precision)
returns double precision
language sql
immutable
parallel safe
return case
  when x < 1 then x * (0.99999193 + x * (-0.24991055 + x * (0.05519968 + x * (-0.00976004 + x * 0.00107857))))
  else ln(x) + 0.5772156649 + case
    when x > 50 then 0
    else exp(-x) / x
      * (0.2677737343 + x * (8.6347608925 + x * (18.0590169730 + x * (8.5733287401 + x))))
      / (3.9584969228 + x * (21.0996530827 + x * (25.6329561486 + x * (9.5733223454 + x))))
  end
end;

comment on function internal.exponential_integral(double precision) is
  'Complementary exponential integral Ein(x) for x >= 0, absolute error below 1e-6. '
  'Formulas 5.1.53 and 5.1.56 of Abramowitz and Stegun, Handbook of Mathematical Functions.';
--! EndIncluded functions/internal/exponential_integral.sql
--! Included functions/internal/sketch_estimate.sql
-- How many distinct values set the bits of a sketch: Newton's method on expected fill = observed fill, in ln(n).
-- With K cells over the ratio exp(R) the standard error is sqrt(ln 2 * R / K) = 1.5 %, at every size.
-- Definer: its body names another function of schema internal, where readers of the views need not be let in.
create or replace function internal.sketch_estimate(sketch bit)
returns bigint
language plpgsql
immutable
parallel safe
strict
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  cells constant double precision := 24576;
  span constant double precision := 8.1; -- R
  p_max constant double precision := 8.1 / 24576 / 0.9996964604;
  fill constant double precision := bit_count(sketch) * span / cells;
  x double precision; -- n * p_max
begin
  if fill = 0 then
    return 0;
  end if;
  x := case when fill < 1 then fill else exp(least(fill, span) - 0.5772156649) end;
  for step in 1..5 loop
    x := x * exp(least(1, greatest(-1,
      (fill - internal.exponential_integral(x) + internal.exponential_integral(x * exp(-span)))
      / (exp(-x * exp(-span)) - exp(-x)))));
  end loop;
  return round(x / p_max);
end;
$$;

comment on function internal.sketch_estimate(bit) is
  'Estimated number of distinct values in a sketch (standard error 1.5 %, to some 10 million); 0 for an empty one. '
  'Linear counting (Whang et al., 1990) over cells of geometrically falling probability, as in multiresolution bitmaps '
  '(Estan, Varghese, Fisk, 2003).';

revoke all on function internal.sketch_estimate(bit) from public;
--! EndIncluded functions/internal/sketch_estimate.sql

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

--! Included functions/internal/stored_since.sql
-- From where on a hypertable or continuous aggregate is whole: below the first chunk, retention has dropped rows.
create or replace function internal.stored_since(relation regclass)
returns timestamptz
language sql
stable
parallel safe
begin atomic
  select coalesce(min(chunks.range_start), '-infinity')
  from timescaledb_information.chunks
  where (format('%I.%I', hypertable_schema, hypertable_name)::regclass) = coalesce(
    (
      select format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)::regclass
      from timescaledb_information.continuous_aggregates
      where format('%I.%I', view_schema, view_name)::regclass = relation
    ),
    relation
  );
end;

comment on function internal.stored_since(regclass) is
  'Start of the oldest chunk of a hypertable or continuous aggregate; -infinity when it has none.';
--! EndIncluded functions/internal/stored_since.sql
--! Included functions/internal/refresh_rollups.sql
-- Brings every roll-up up to date, in the order in which they are made from each other: closed buckets since the last time,
-- changes within the look-back, and exactly the minutes that got older events. A few ms when there is nothing to do.
-- TimescaleDB refreshes a range only where its log says that it changed, so a call costs what changed. The log keeps one
-- range a transaction, which a single late event stretches; that is why the look-back is short and older minutes are named.
-- It has no set search_path, since a procedure that commits cannot have one: names are full instead.
create or replace procedure internal.refresh_rollups(job_id integer default null, config jsonb default null)
language plpgsql
as $$
declare
  rollup record;
  late record;
  late_ids bigint[] := (select pg_catalog.array_agg(id) from internal.late_minutes);
  source_since timestamptz;
  closed timestamptz;
  range_width interval;
begin
  -- Sorting a minute of events by bucket and service costs more than a hash table of its few groups, but planners expect too many
  -- groups to choose it; compiling costs more than the whole refresh. For the session, since transactions end within; a call that fails leaves them
  -- there until the next one.
  set enable_sort = off;
  set work_mem = '64MB';
  set jit = off;

  for rollup in select * from internal.rollups order by place loop
    closed := pg_catalog.date_bin(
      rollup.width,
      case
        when rollup.source = 'analytics.events'::pg_catalog.regclass then pg_catalog.clock_timestamp() - interval '2 s'
        else (select below.refreshed_until from internal.rollups as below where below.relation = rollup.source)
      end,
      '2000-01-01 00:00:00+00'
    );
    if rollup.refreshed_until is null or late_ids is not null then
      source_since := internal.stored_since(rollup.source);
    end if;

    call public.refresh_continuous_aggregate(
      rollup.relation,
      least(coalesce(rollup.refreshed_until, source_since), closed - rollup.lookback),
      closed
    );
    update internal.rollups set refreshed_until = closed where name = rollup.name and refreshed_until is distinct from closed;
    commit; -- only then does the next level learn what changed in this one

    continue when late_ids is null;
    range_width := greatest(rollup.width, interval '1 minute');
    -- Neighbouring late buckets are one range. A range whose source is no longer whole stays as it was rolled up.
    for late in
      with buckets as (
        select distinct pg_catalog.date_bin(range_width, minute, '2000-01-01 00:00:00+00') as bucket
        from internal.late_minutes
        where id = any (late_ids)
      ),
      islands as (
        select bucket, bucket - range_width * pg_catalog.row_number() over (order by bucket) as island
        from buckets
        where bucket >= source_since and bucket < closed - rollup.lookback
      )
      select pg_catalog.min(bucket) as since, pg_catalog.max(bucket) + range_width as until
      from islands
      group by island
    loop
      call public.refresh_continuous_aggregate(rollup.relation, late.since, late.until);
      commit;
    end loop;
  end loop;

  delete from internal.late_minutes where id = any (late_ids);

  reset enable_sort;
  reset work_mem;
  reset jit;
end;
$$;

comment on procedure internal.refresh_rollups(integer, jsonb) is
  'Materializes what changed in every roll-up since the last call; run by the worker each second and by a job of the database '
  'each minute, must not be called within a transaction. The arguments are those that TimescaleDB gives to a job; they are not used.';
--! EndIncluded functions/internal/refresh_rollups.sql
--! Included functions/internal/error_rate.sql
-- The one definition of the error rate.
create or replace function internal.error_rate(failed bigint, total bigint)
returns double precision
language sql
immutable
parallel safe
return 100.0::double precision * failed / nullif(total, 0);

comment on function internal.error_rate(bigint, bigint) is
  'Failed requests as percent (0..100) of all; NULL, not 0, when there are none.';
--! EndIncluded functions/internal/error_rate.sql
--! Included functions/internal/event_rows.sql
-- Raw events in the shape of a roll-up row; the same expressions as in internal.metrics_10s_v1.
create or replace function internal.event_rows(since timestamptz, until timestamptz)
returns table (
  service text,
  total_requests bigint,
  failed_requests bigint,
  latency_count bigint,
  latency_sum double precision,
  latency_min double precision,
  latency_max double precision,
  latency_histogram integer[],
  users bit,
  ips bit,
  risk_count bigint,
  risk_sum double precision,
  high_risk_count bigint
)
language sql
stable
parallel safe
begin atomic
  select
    events.service,
    count(*),
    count(*) filter (where events.level >= 'error'),
    count(events.latency_ms),
    sum(events.latency_ms),
    min(events.latency_ms),
    max(events.latency_ms),
    histogram(internal.latency_histogram_axis(events.latency_ms), ln(0.1::double precision), ln(6e5::double precision), 400)
      filter (where events.latency_ms is not null), -- it takes NULL for 0
    internal.sketch(internal.sketch_cell(hashtextextended(events.user_id, 0)), 1),
    internal.sketch(internal.sketch_cell(hashinetextended(events.source_ip, 0)), 1),
    count(events.business_risk_score),
    sum(events.business_risk_score),
    count(*) filter (where events.business_risk_score > 0.7)
  from analytics.events
  where events.time >= since and events.time < until
  group by events.service;
end;

comment on function internal.event_rows(timestamptz, timestamptz) is
  'The raw events of [since, until) as one additive row a service.';
--! EndIncluded functions/internal/event_rows.sql
--! Included functions/internal/window_rows.sql
-- The additive rows that cover a time range exactly: whole buckets of the coarsest level that fits, finer ones and raw events
-- towards the edges. Where a level has been dropped already, the edge is widened to the next coarser bucket.
create or replace function internal.window_rows(since timestamptz, until timestamptz, of_service text default null)
returns table (
  service text,
  total_requests bigint,
  failed_requests bigint,
  latency_count bigint,
  latency_sum double precision,
  latency_min double precision,
  latency_max double precision,
  latency_histogram integer[],
  users bit,
  ips bit,
  risk_count bigint,
  risk_sum double precision,
  high_risk_count bigint
)
language plpgsql
stable
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
  origin constant timestamptz := '2000-01-01 00:00:00+00';
  level record;
  inner_since timestamptz;
  inner_until timestamptz;
  -- What coarser levels have covered: [head_until, tail_since). Nothing yet, so that the first head is everything.
  head_until timestamptz;
  tail_since timestamptz;
begin
  -- outwards where the fine rows are gone
  for level in
    select rollups.width, now() - retention.keep as kept_since
    from analytics.retention
    join (values ('raw', '10s'), ('10s', '1min'), ('1min', '5min'), ('5min', '1hour')) as next (tier, name)
      on next.tier = retention.tier::text
    join internal.rollups using (name)
    order by rollups.width
  loop
    if since < level.kept_since then
      since := date_bin(level.width, since, origin);
    end if;
    if until < level.kept_since then
      until := date_bin(level.width, until + level.width - interval '1 microsecond', origin);
    end if;
  end loop;
  head_until := until;
  tail_since := until;

  -- inwards from the coarsest level whose buckets fit; for a range of minutes the 10 s level alone has the cheaper plan
  for level in
    select relation, width
    from internal.rollups
    where name in ('10s', '1min', '5min', '1hour') and (name = '10s' or until - since > interval '10 minutes')
    order by width desc
  loop
    inner_since := date_bin(level.width, since + level.width - interval '1 microsecond', origin);
    inner_until := date_bin(level.width, until, origin);
    continue when inner_since >= inner_until;

    return query execute format(
      'select service, total_requests, failed_requests, latency_count, latency_sum, latency_min, latency_max,
         latency_histogram, users, ips, risk_count, risk_sum, high_risk_count
       from %s
       where bucket >= $1 and bucket < $2 and ($3 is null or service = $3)',
      level.relation
    )
    using inner_since, least(head_until, inner_until), of_service;

    if tail_since < inner_until then
      return query execute format(
        'select service, total_requests, failed_requests, latency_count, latency_sum, latency_min, latency_max,
           latency_histogram, users, ips, risk_count, risk_sum, high_risk_count
         from %s
         where bucket >= $1 and bucket < $2 and ($3 is null or service = $3)',
        level.relation
      )
      using tail_since, inner_until, of_service;
    end if;

    head_until := inner_since;
    tail_since := inner_until;
  end loop;

  return query
    select * from internal.event_rows(since, head_until) as edge where of_service is null or edge.service = of_service;
  return query
    select * from internal.event_rows(tail_since, until) as edge where of_service is null or edge.service = of_service;
end;
$$;

comment on function internal.window_rows(timestamptz, timestamptz, text) is
  'Additive rows, several a service, of one service or (NULL) of all, that together cover [since, until): to the microsecond while '
  'the raw events of both edges are kept, and to the finest kept bucket, outwards, after that.';
--! EndIncluded functions/internal/window_rows.sql
--! Included functions/internal/window_metrics.sql
-- The one place where sums become metrics over an arbitrary range; views, summaries, SLA and alert rules all read it.
-- The bins of all histograms are added in one grouping: 20 times faster than adding arrays one by one.
-- Definer: everybody may know these figures, but not the sketches and events that they come from.
create or replace function internal.window_metrics(since timestamptz, until timestamptz, of_service text default null)
returns table (
  service text,
  total_requests bigint,
  successful_requests bigint,
  failed_requests bigint,
  error_rate double precision,
  latency_count bigint,
  latency_min double precision,
  latency_p50 double precision,
  latency_p95 double precision,
  latency_p99 double precision,
  latency_max double precision,
  latency_mean double precision,
  unique_users bigint,
  unique_ips bigint,
  risk_count bigint,
  avg_risk_score double precision,
  high_risk_count bigint
)
language sql
stable
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
set jit = off -- the planner takes it for costly: 30 ms of compiling for 10 ms of work
begin atomic
  with parts as materialized (
    select * from internal.window_rows(since, until, of_service)
  ),
  sums as (
    select
      parts.service,
      sum(parts.total_requests)::bigint as total_requests,
      sum(parts.failed_requests)::bigint as failed_requests,
      sum(parts.latency_count)::bigint as latency_count,
      sum(parts.latency_sum) as latency_sum,
      min(parts.latency_min) as latency_min,
      max(parts.latency_max) as latency_max,
      internal.sketch_estimate(bit_or(parts.users)) as unique_users,
      internal.sketch_estimate(bit_or(parts.ips)) as unique_ips,
      sum(parts.risk_count)::bigint as risk_count,
      sum(parts.risk_sum) as risk_sum,
      sum(parts.high_risk_count)::bigint as high_risk_count
    from parts
    group by parts.service
  ),
  bins as (
    select parts.service, bin, sum(sum(count)) over (partition by parts.service order by bin) as up_to
    from parts, unnest(parts.latency_histogram) with ordinality as histogram (count, bin)
    where count > 0
    group by parts.service, bin
  ),
  percentile_bins as (
    select
      bins.service,
      min(bin) filter (where up_to >= 0.5 * latency_count) as p50,
      min(bin) filter (where up_to >= 0.95 * latency_count) as p95,
      min(bin) filter (where up_to >= 0.99 * latency_count) as p99
    from bins
    join sums on sums.service = bins.service
    group by bins.service
  )
  select
    sums.service,
    sums.total_requests,
    sums.total_requests - sums.failed_requests,
    sums.failed_requests,
    internal.error_rate(sums.failed_requests, sums.total_requests),
    sums.latency_count,
    sums.latency_min,
    internal.histogram_bin_middle(p50, sums.latency_min, sums.latency_max),
    internal.histogram_bin_middle(p95, sums.latency_min, sums.latency_max),
    internal.histogram_bin_middle(p99, sums.latency_min, sums.latency_max),
    sums.latency_max,
    sums.latency_sum / nullif(sums.latency_count, 0),
    sums.unique_users,
    sums.unique_ips,
    sums.risk_count,
    sums.risk_sum / nullif(sums.risk_count, 0),
    sums.high_risk_count
  from sums
  left join percentile_bins on percentile_bins.service = sums.service;
end;

comment on function internal.window_metrics(timestamptz, timestamptz, text) is
  'Metrics of one service or (NULL) of every one with events in [since, until); as exact as internal.window_rows. Rates in percent, '
  'latencies in ms.';

revoke all on function internal.window_metrics(timestamptz, timestamptz, text) from public;
--! EndIncluded functions/internal/window_metrics.sql

--
-- Ingest
--

--! Included functions/internal/commit_batch.sql
-- What goes with the COPY of one batch, in the same transaction: the offset moves from the expected to the next one, rejected
-- messages, services seen, and minutes that the roll-ups would not look back to.
-- SL001 says that the stored offset is not the expected one: another ingester has the partition, or the database came back from
-- an older state. It takes the COPY before it down with it, which is what makes each event be stored once.
create or replace function internal.commit_batch(
  topic text,
  partition integer,
  expected_offset bigint,
  next_offset bigint,
  log_end_offset bigint,
  services jsonb,
  oldest_by_minute jsonb,
  rejects jsonb
)
returns void
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  update internal.ingest_offsets as stored
  set
    next_offset = commit_batch.next_offset,
    log_end_offset = commit_batch.log_end_offset,
    updated_at = clock_timestamp()
  where stored.topic = commit_batch.topic
    and stored.partition = commit_batch.partition
    and stored.next_offset = commit_batch.expected_offset;

  if not found then
    raise exception 'the stored offset of partition % of % is not % any more',
      commit_batch.partition, commit_batch.topic, commit_batch.expected_offset
      using errcode = 'SL001';
  end if;

  -- Only what changes: on conflict would lock the row of every service until the commit. In the order of the key, so that two
  -- ingesters cannot wait for each other.
  insert into analytics.services as known (service, first_seen, last_seen)
  select seen.service, to_timestamp(seen.first_ms / 1000), to_timestamp(seen.last_ms / 1000)
  from jsonb_to_recordset(commit_batch.services) as seen (service text, first_ms float8, last_ms float8)
  where not exists (
    select from analytics.services as known
    where known.service = seen.service
      and known.last_seen >= to_timestamp(seen.last_ms / 1000) - interval '10 s'
  )
  order by seen.service
  on conflict (service) do update
  set
    last_seen = greatest(known.last_seen, excluded.last_seen),
    known_since = case
      when excluded.last_seen >= known.last_seen + interval '1 day' then excluded.known_since else known.known_since
    end;

  -- The roll-ups look back 2 minutes by themselves; one of them is left as room for the time until this commit.
  insert into internal.late_minutes (minute)
  select date_trunc('minute', to_timestamp(oldest.ms / 1000))
  from jsonb_array_elements_text(commit_batch.oldest_by_minute) as element (value)
  cross join lateral (select element.value::float8 as ms) as oldest
  where to_timestamp(oldest.ms / 1000) < (
    select coalesce(refreshed_until, clock_timestamp()) from internal.rollups where name = '10s'
  ) - interval '1 minute';

  -- The same offset again: the topic was deleted and made anew.
  insert into analytics.rejected_events as rejected (topic, partition, "offset", reason, detail, payload)
  select commit_batch.topic, commit_batch.partition, message."offset", message.reason, message.detail, message.payload
  from jsonb_to_recordset(commit_batch.rejects) as message ("offset" bigint, reason analytics.reject_reason, detail text, payload text)
  on conflict (topic, partition, "offset") do update
  set received_at = now(), reason = excluded.reason, detail = excluded.detail, payload = excluded.payload;

  if commit_batch.services <> '[]' then
    perform pg_notify('stacklens_ingested', '');
  end if;
end;
$$;

comment on function internal.commit_batch(text, integer, bigint, bigint, bigint, jsonb, jsonb, jsonb) is
  'Completes the transaction that has copied a batch into analytics.events; SL001 when the partition is not at expected_offset. '
  'services: [{service, first_ms, last_ms}]; oldest_by_minute: time of the oldest event of each older minute of the batch; '
  'rejects: [{offset, reason, detail, payload}]; times in epoch milliseconds. Notifies stacklens_ingested when there are events.';
--! EndIncluded functions/internal/commit_batch.sql
--! Included functions/internal/claim_partitions.sql
-- Where an ingester that was given partitions goes on. A partition never seen starts at the beginning of its log. A stored offset
-- outside of the log starts there again, too: below it, the retention of the topic has dropped what was not read in time; above
-- it, the topic was deleted and made anew.
-- The stored offsets come from the caller, who read them before it looked at the log: one stored after that look may well be
-- above the end that was seen, and starting again would then store everything twice.
create or replace function internal.claim_partitions(
  topic text,
  partitions integer[],
  stored_offsets bigint[],
  log_start_offsets bigint[],
  log_end_offsets bigint[]
)
returns table (partition integer, next_offset bigint)
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  insert into internal.ingest_offsets (topic, partition, next_offset)
  select claim_partitions.topic, log.partition, log.log_start
  from unnest(partitions, log_start_offsets) as log (partition, log_start)
  order by log.partition
  on conflict do nothing;

  return query
  update internal.ingest_offsets as stored
  set
    next_offset = case
      when stored.next_offset = log.stored_offset and log.stored_offset not between log.log_start and log.log_end
        then log.log_start
      else stored.next_offset
    end,
    log_end_offset = log.log_end,
    checked_at = clock_timestamp()
  from unnest(partitions, stored_offsets, log_start_offsets, log_end_offsets)
    as log (partition, stored_offset, log_start, log_end)
  where stored.topic = claim_partitions.topic and stored.partition = log.partition
  returning stored.partition, stored.next_offset;
end;
$$;

comment on function internal.claim_partitions(text, integer[], bigint[], bigint[], bigint[]) is
  'The offset from which each partition goes on. The arrays go together; a stored offset is NULL for a partition never seen.';
--! EndIncluded functions/internal/claim_partitions.sql
--! Included functions/internal/report_log_ends.sql
-- The ingester says every few seconds how far the logs of its partitions reach, so that anybody can see its lag in SQL, and that
-- it is alive. It gets the stored offsets back, to notice that the database lost its last moments while nothing came in.
create or replace function internal.report_log_ends(topic text, partitions integer[], log_end_offsets bigint[])
returns table (partition integer, next_offset bigint)
language sql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
  update internal.ingest_offsets as stored
  set
    log_end_offset = log.log_end,
    checked_at = clock_timestamp()
  from unnest(partitions, log_end_offsets) as log (partition, log_end)
  where stored.topic = report_log_ends.topic and stored.partition = log.partition
  returning stored.partition, stored.next_offset;
$$;

comment on function internal.report_log_ends(text, integer[], bigint[]) is
  'Stores the end of the log of each partition, and when it was looked at; returns their next offsets. The arrays go together.';
--! EndIncluded functions/internal/report_log_ends.sql

--
-- Lifecycle: the policies follow analytics.retention
--

alter table analytics.events set (
  timescaledb.enable_columnstore = true,
  timescaledb.segmentby = 'service',
  timescaledb.orderby = 'time desc'
);

--! Included views/retention_relations.sql
-- Which hypertables and continuous aggregates a tier of analytics.retention is.
create or replace view internal.retention_relations as
select 'raw'::analytics.retention_tier as tier, 'analytics.events'::regclass as relation
union all
select replace(name, 'endpoint_', '')::analytics.retention_tier, relation
from internal.rollups;

comment on view internal.retention_relations is 'The hypertables and continuous aggregates of each tier.';
--! EndIncluded views/retention_relations.sql
--! Included functions/internal/apply_retention.sql
-- The only place where retention and columnstore policies are set, so that they cannot contradict the ladder.
create or replace function internal.apply_retention()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  tier record;
  problem text;
begin
  select format('%s must be kept %s longer than %s (%s), not %s', upper.tier, step.room, lower.tier, lower.keep, upper.keep)
  into problem
  from (
    values
      ('raw'::analytics.retention_tier, '10s'::analytics.retention_tier, interval '1 minute'),
      ('10s', '1min', interval '5 minutes'),
      ('1min', '5min', interval '1 hour'),
      ('5min', '1hour', interval '1 hour')
  ) as step (lower_tier, upper_tier, room)
  join analytics.retention as lower on lower.tier = lower_tier
  join analytics.retention as upper on upper.tier = upper_tier
  where upper.keep < lower.keep + step.room
  limit 1;
  if problem is not null then
    raise exception using
      errcode = 'check_violation',
      message = 'retention: ' || problem,
      hint = 'Each level is made from the one below and must outlive it: raw < 10s < 1min < 5min < 1hour.';
  end if;

  select 'raw must be kept for at least 1 hour, not ' || keep into problem
  from analytics.retention
  where retention.tier = 'raw' and keep < interval '1 hour';
  if problem is not null then
    raise exception using errcode = 'check_violation', message = 'retention: ' || problem;
  end if;

  if (select count(*) from analytics.retention) < 7 then
    raise exception using
      errcode = 'check_violation',
      message = 'retention: a tier is missing',
      hint = 'Change a row instead of deleting it; the tiers are fixed.';
  end if;

  for tier in
    select relations.relation, retention.keep, retention.compress_after
    from analytics.retention
    join internal.retention_relations as relations using (tier)
  loop
    perform public.remove_retention_policy(tier.relation, if_exists => true);
    perform public.add_retention_policy(tier.relation, drop_after => tier.keep, schedule_interval => interval '10 minutes');
    perform public.remove_compression_policy(tier.relation, if_exists => true);
    if tier.compress_after is not null then
      perform public.add_compression_policy(
        tier.relation, compress_after => tier.compress_after, schedule_interval => interval '10 minutes'
      );
    end if;
  end loop;
  return null;
end;
$$;

comment on function internal.apply_retention() is
  'Trigger: refuses a ladder in which a roll-up would be refreshed over dropped data (23514), then sets the policies.';
--! EndIncluded functions/internal/apply_retention.sql

create trigger apply_retention
after insert or update or delete on analytics.retention
for each statement execute function internal.apply_retention();

--! Included functions/internal/touch_updated_at.sql
-- For tables that people edit by hand.
create or replace function internal.touch_updated_at()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

comment on function internal.touch_updated_at() is 'Trigger: sets updated_at to the time of the change.';
--! EndIncluded functions/internal/touch_updated_at.sql

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

--! Included views/metrics_1min.sql
-- The stable face of the versioned continuous aggregate: internals stay behind, sums become rates.
create or replace view analytics.metrics_1min as
select
  bucket,
  service,
  total_requests,
  total_requests - failed_requests as successful_requests,
  failed_requests,
  internal.error_rate(failed_requests, total_requests) as error_rate,
  latency_min,
  latency_percentiles[1] as latency_p50,
  latency_percentiles[2] as latency_p95,
  latency_percentiles[3] as latency_p99,
  latency_max,
  latency_sum / nullif(latency_count, 0) as latency_mean,
  unique_users,
  unique_ips,
  risk_sum / nullif(risk_count, 0) as avg_risk_score,
  high_risk_count
from internal.metrics_1min_v1;

comment on view analytics.metrics_1min is 'Metrics of each service in buckets of 1 minute, up to the last committed event.';
comment on column analytics.metrics_1min.bucket is 'Start of the bucket.';
comment on column analytics.metrics_1min.service is 'Name of the service.';
comment on column analytics.metrics_1min.total_requests is 'Events in the bucket.';
comment on column analytics.metrics_1min.successful_requests is 'Events in the bucket that did not fail.';
comment on column analytics.metrics_1min.failed_requests is 'Events in the bucket with level error or critical.';
comment on column analytics.metrics_1min.error_rate is 'Failed requests in percent of all, 0..100.';
comment on column analytics.metrics_1min.latency_min is 'Smallest latency in ms, exact; null without latencies.';
comment on column analytics.metrics_1min.latency_p50 is 'Median latency in ms, within 2 %; null without latencies.';
comment on column analytics.metrics_1min.latency_p95 is '95th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.metrics_1min.latency_p99 is '99th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.metrics_1min.latency_max is 'Largest latency in ms, exact; null without latencies.';
comment on column analytics.metrics_1min.latency_mean is 'Mean latency in ms; null without latencies.';
comment on column analytics.metrics_1min.unique_users is 'Distinct users, standard error 1.5 %.';
comment on column analytics.metrics_1min.unique_ips is 'Distinct source addresses, standard error 1.5 %.';
comment on column analytics.metrics_1min.avg_risk_score is 'Mean business risk score, 0..1; null when no event had one.';
comment on column analytics.metrics_1min.high_risk_count is 'Events with a business risk score above 0.7.';
--! EndIncluded views/metrics_1min.sql
--! Included views/metrics_5min.sql
-- The stable face of the versioned continuous aggregate: internals stay behind, sums become rates.
create or replace view analytics.metrics_5min as
select
  bucket,
  service,
  total_requests,
  total_requests - failed_requests as successful_requests,
  failed_requests,
  internal.error_rate(failed_requests, total_requests) as error_rate,
  latency_min,
  latency_percentiles[1] as latency_p50,
  latency_percentiles[2] as latency_p95,
  latency_percentiles[3] as latency_p99,
  latency_max,
  latency_sum / nullif(latency_count, 0) as latency_mean,
  unique_users,
  unique_ips,
  risk_sum / nullif(risk_count, 0) as avg_risk_score,
  high_risk_count
from internal.metrics_5min_v1;

comment on view analytics.metrics_5min is 'Metrics of each service in buckets of 5 minutes, up to the last committed event.';
comment on column analytics.metrics_5min.bucket is 'Start of the bucket.';
comment on column analytics.metrics_5min.service is 'Name of the service.';
comment on column analytics.metrics_5min.total_requests is 'Events in the bucket.';
comment on column analytics.metrics_5min.successful_requests is 'Events in the bucket that did not fail.';
comment on column analytics.metrics_5min.failed_requests is 'Events in the bucket with level error or critical.';
comment on column analytics.metrics_5min.error_rate is 'Failed requests in percent of all, 0..100.';
comment on column analytics.metrics_5min.latency_min is 'Smallest latency in ms, exact; null without latencies.';
comment on column analytics.metrics_5min.latency_p50 is 'Median latency in ms, within 2 %; null without latencies.';
comment on column analytics.metrics_5min.latency_p95 is '95th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.metrics_5min.latency_p99 is '99th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.metrics_5min.latency_max is 'Largest latency in ms, exact; null without latencies.';
comment on column analytics.metrics_5min.latency_mean is 'Mean latency in ms; null without latencies.';
comment on column analytics.metrics_5min.unique_users is 'Distinct users, standard error 1.5 %.';
comment on column analytics.metrics_5min.unique_ips is 'Distinct source addresses, standard error 1.5 %.';
comment on column analytics.metrics_5min.avg_risk_score is 'Mean business risk score, 0..1; null when no event had one.';
comment on column analytics.metrics_5min.high_risk_count is 'Events with a business risk score above 0.7.';
--! EndIncluded views/metrics_5min.sql
--! Included views/metrics_1hour.sql
-- The stable face of the versioned continuous aggregate: internals stay behind, sums become rates.
create or replace view analytics.metrics_1hour as
select
  bucket,
  service,
  total_requests,
  total_requests - failed_requests as successful_requests,
  failed_requests,
  internal.error_rate(failed_requests, total_requests) as error_rate,
  latency_min,
  latency_percentiles[1] as latency_p50,
  latency_percentiles[2] as latency_p95,
  latency_percentiles[3] as latency_p99,
  latency_max,
  latency_sum / nullif(latency_count, 0) as latency_mean,
  unique_users,
  unique_ips,
  risk_sum / nullif(risk_count, 0) as avg_risk_score,
  high_risk_count
from internal.metrics_1hour_v1;

comment on view analytics.metrics_1hour is 'Metrics of each service in buckets of 1 hour, up to the last committed event.';
comment on column analytics.metrics_1hour.bucket is 'Start of the bucket.';
comment on column analytics.metrics_1hour.service is 'Name of the service.';
comment on column analytics.metrics_1hour.total_requests is 'Events in the bucket.';
comment on column analytics.metrics_1hour.successful_requests is 'Events in the bucket that did not fail.';
comment on column analytics.metrics_1hour.failed_requests is 'Events in the bucket with level error or critical.';
comment on column analytics.metrics_1hour.error_rate is 'Failed requests in percent of all, 0..100.';
comment on column analytics.metrics_1hour.latency_min is 'Smallest latency in ms, exact; null without latencies.';
comment on column analytics.metrics_1hour.latency_p50 is 'Median latency in ms, within 2 %; null without latencies.';
comment on column analytics.metrics_1hour.latency_p95 is '95th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.metrics_1hour.latency_p99 is '99th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.metrics_1hour.latency_max is 'Largest latency in ms, exact; null without latencies.';
comment on column analytics.metrics_1hour.latency_mean is 'Mean latency in ms; null without latencies.';
comment on column analytics.metrics_1hour.unique_users is 'Distinct users, standard error 1.5 %.';
comment on column analytics.metrics_1hour.unique_ips is 'Distinct source addresses, standard error 1.5 %.';
comment on column analytics.metrics_1hour.avg_risk_score is 'Mean business risk score, 0..1; null when no event had one.';
comment on column analytics.metrics_1hour.high_risk_count is 'Events with a business risk score above 0.7.';
--! EndIncluded views/metrics_1hour.sql
--! Included views/endpoint_metrics_5min.sql
-- The stable face of the versioned continuous aggregate: internals stay behind, sums become rates.
create or replace view analytics.endpoint_metrics_5min as
select
  bucket,
  service,
  endpoint,
  total_requests,
  total_requests - failed_requests as successful_requests,
  failed_requests,
  internal.error_rate(failed_requests, total_requests) as error_rate,
  latency_min,
  latency_percentiles[1] as latency_p50,
  latency_percentiles[2] as latency_p95,
  latency_percentiles[3] as latency_p99,
  latency_max,
  latency_sum / nullif(latency_count, 0) as latency_mean,
  unique_users,
  unique_ips,
  risk_sum / nullif(risk_count, 0) as avg_risk_score,
  high_risk_count
from internal.endpoint_metrics_5min_v1;

comment on view analytics.endpoint_metrics_5min is
  'Metrics of each service and endpoint in buckets of 5 minutes, up to the last committed event.';
comment on column analytics.endpoint_metrics_5min.bucket is 'Start of the bucket.';
comment on column analytics.endpoint_metrics_5min.service is 'Name of the service.';
comment on column analytics.endpoint_metrics_5min.endpoint is 'Route or operation.';
comment on column analytics.endpoint_metrics_5min.total_requests is 'Events in the bucket.';
comment on column analytics.endpoint_metrics_5min.successful_requests is 'Events in the bucket that did not fail.';
comment on column analytics.endpoint_metrics_5min.failed_requests is 'Events in the bucket with level error or critical.';
comment on column analytics.endpoint_metrics_5min.error_rate is 'Failed requests in percent of all, 0..100.';
comment on column analytics.endpoint_metrics_5min.latency_min is 'Smallest latency in ms, exact; null without latencies.';
comment on column analytics.endpoint_metrics_5min.latency_p50 is 'Median latency in ms, within 2 %; null without latencies.';
comment on column analytics.endpoint_metrics_5min.latency_p95 is '95th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.endpoint_metrics_5min.latency_p99 is '99th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.endpoint_metrics_5min.latency_max is 'Largest latency in ms, exact; null without latencies.';
comment on column analytics.endpoint_metrics_5min.latency_mean is 'Mean latency in ms; null without latencies.';
comment on column analytics.endpoint_metrics_5min.unique_users is 'Distinct users, standard error 1.5 %.';
comment on column analytics.endpoint_metrics_5min.unique_ips is 'Distinct source addresses, standard error 1.5 %.';
comment on column analytics.endpoint_metrics_5min.avg_risk_score is 'Mean business risk score, 0..1; null when no event had one.';
comment on column analytics.endpoint_metrics_5min.high_risk_count is 'Events with a business risk score above 0.7.';
--! EndIncluded views/endpoint_metrics_5min.sql
--! Included functions/internal/health.sql
-- The one definition of health.
create or replace function internal.health(
  total_requests bigint,
  error_rate double precision,
  latency_p99 double precision
)
returns analytics.health
language sql
immutable
parallel safe
return case
  when coalesce(total_requests, 0) = 0 then null
  when error_rate > 20 then 'critical'
  when error_rate > 5 or latency_p99 > 500 then 'warning'
  else 'healthy'
end::analytics.health;

comment on function internal.health(bigint, double precision, double precision) is
  'Health from error rate (percent) and p99 latency (ms); NULL without requests, since missing data is not health.';
--! EndIncluded functions/internal/health.sql
--! Included views/service_health.sql
-- Known services rather than those with events: a service that fell silent is what one looks for.
create or replace view analytics.service_health as
select
  services.service,
  internal.health(metrics.total_requests, metrics.error_rate, metrics.latency_p99) as health,
  coalesce(metrics.total_requests, 0) as total_requests,
  coalesce(metrics.failed_requests, 0) as failed_requests,
  metrics.error_rate,
  metrics.latency_p50,
  metrics.latency_p95,
  metrics.latency_p99,
  metrics.latency_mean,
  coalesce(metrics.unique_users, 0) as unique_users,
  coalesce(metrics.high_risk_count, 0) as high_risk_count,
  services.last_seen
from analytics.services
left join internal.window_metrics(now() - interval '1 minute', now()) as metrics using (service)
where services.last_seen > now() - interval '1 day';

comment on view analytics.service_health is 'Health of every service seen in the last day, over the last minute.';
comment on column analytics.service_health.service is 'Name of the service.';
comment on column analytics.service_health.health is 'Health over the last minute; null without events in it.';
comment on column analytics.service_health.total_requests is 'Events in the last minute.';
comment on column analytics.service_health.failed_requests is 'Events with level error or critical in the last minute.';
comment on column analytics.service_health.error_rate is 'Failed requests in percent of all, 0..100; null without events.';
comment on column analytics.service_health.latency_p50 is 'Median latency in ms, within 2 %; null without latencies.';
comment on column analytics.service_health.latency_p95 is '95th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.service_health.latency_p99 is '99th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.service_health.latency_mean is 'Mean latency in ms; null without latencies.';
comment on column analytics.service_health.unique_users is 'Distinct users in the last minute, standard error 1.5 %.';
comment on column analytics.service_health.high_risk_count is 'Events with a business risk score above 0.7 in the last minute.';
comment on column analytics.service_health.last_seen is 'Time of the newest event, within 10 s.';
--! EndIncluded views/service_health.sql
--! Included views/performance_trend.sql
-- Each bucket beside the one before it. The range is bounded, so that a look at it stays cheap.
create or replace view analytics.performance_trend as
select
  bucket,
  service,
  total_requests,
  error_rate,
  latency_p50,
  latency_p95,
  latency_p99,
  latency_mean,
  total_requests - lag(total_requests) over previous as total_requests_change,
  error_rate - lag(error_rate) over previous as error_rate_change,
  latency_p95 - lag(latency_p95) over previous as latency_p95_change
from analytics.metrics_5min
where bucket > now() - interval '24 hours'
window previous as (partition by service order by bucket);

comment on view analytics.performance_trend is
  'Metrics of the last 24 hours in buckets of 5 minutes, with the change against the bucket before of the same service.';
comment on column analytics.performance_trend.bucket is 'Start of the bucket.';
comment on column analytics.performance_trend.service is 'Name of the service.';
comment on column analytics.performance_trend.total_requests is 'Events in the bucket.';
comment on column analytics.performance_trend.error_rate is 'Failed requests in percent of all, 0..100.';
comment on column analytics.performance_trend.latency_p50 is 'Median latency in ms, within 2 %; null without latencies.';
comment on column analytics.performance_trend.latency_p95 is '95th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.performance_trend.latency_p99 is '99th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.performance_trend.latency_mean is 'Mean latency in ms; null without latencies.';
comment on column analytics.performance_trend.total_requests_change is
  'Events more or less than in the bucket before; null in the first bucket.';
comment on column analytics.performance_trend.error_rate_change is
  'Percentage points more or less than in the bucket before; null in the first bucket.';
comment on column analytics.performance_trend.latency_p95_change is
  'Change of the 95th percentile of the latency in ms against the bucket before; null in the first bucket, or without '
  'latencies.';
--! EndIncluded views/performance_trend.sql
--! Included views/top_error_services.sql
-- Ranked at read time over the exact last hour.
create or replace view analytics.top_error_services as
select
  rank() over (order by failed_requests desc) as rank,
  service,
  total_requests,
  failed_requests,
  error_rate,
  latency_p50,
  latency_p95,
  latency_p99,
  latency_mean,
  latency_max
from internal.window_metrics(now() - interval '1 hour', now())
where failed_requests > 0
order by failed_requests desc, service;

comment on view analytics.top_error_services is 'Services of the last hour that failed, most failed requests first.';
comment on column analytics.top_error_services.rank is 'Place, a number from 1; equal values share one.';
comment on column analytics.top_error_services.service is 'Name of the service.';
comment on column analytics.top_error_services.total_requests is 'Events in the last hour.';
comment on column analytics.top_error_services.failed_requests is 'Events with level error or critical in the last hour.';
comment on column analytics.top_error_services.error_rate is 'Failed requests in percent of all, 0..100.';
comment on column analytics.top_error_services.latency_p50 is 'Median latency in ms, within 2 %; null without latencies.';
comment on column analytics.top_error_services.latency_p95 is '95th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.top_error_services.latency_p99 is '99th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.top_error_services.latency_mean is 'Mean latency in ms; null without latencies.';
comment on column analytics.top_error_services.latency_max is 'Largest latency in ms, exact; null without latencies.';
--! EndIncluded views/top_error_services.sql
--! Included views/slowest_services.sql
-- Ranked at read time over the exact last hour.
create or replace view analytics.slowest_services as
select
  rank() over (order by latency_p95 desc) as rank,
  service,
  total_requests,
  failed_requests,
  error_rate,
  latency_p50,
  latency_p95,
  latency_p99,
  latency_mean,
  latency_max
from internal.window_metrics(now() - interval '1 hour', now())
where latency_p95 is not null
order by latency_p95 desc, service;

comment on view analytics.slowest_services is 'Services of the last hour, the highest 95th percentile of the latency first.';
comment on column analytics.slowest_services.rank is 'Place, a number from 1; equal values share one.';
comment on column analytics.slowest_services.service is 'Name of the service.';
comment on column analytics.slowest_services.total_requests is 'Events in the last hour.';
comment on column analytics.slowest_services.failed_requests is 'Events with level error or critical in the last hour.';
comment on column analytics.slowest_services.error_rate is 'Failed requests in percent of all, 0..100.';
comment on column analytics.slowest_services.latency_p50 is 'Median latency in ms, within 2 %; null without latencies.';
comment on column analytics.slowest_services.latency_p95 is '95th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.slowest_services.latency_p99 is '99th percentile of the latency in ms, within 2 %; null without latencies.';
comment on column analytics.slowest_services.latency_mean is 'Mean latency in ms; null without latencies.';
comment on column analytics.slowest_services.latency_max is 'Largest latency in ms, exact; null without latencies.';
--! EndIncluded views/slowest_services.sql
--! Included views/high_risk_events.sql
-- Raw events, so it reaches back as far as they are kept. Filter on time and business_risk_score.
create or replace view analytics.high_risk_events as
select
  time,
  service,
  endpoint,
  level,
  status_code,
  latency_ms,
  business_risk_score,
  user_id,
  source_ip,
  geo_country,
  user_subscription_tier,
  request_id,
  trace_id
from analytics.events
where business_risk_score > 0.7;

comment on view analytics.high_risk_events is 'Events with a business risk score above 0.7.';
comment on column analytics.high_risk_events.time is 'When it happened, by the clock of the service.';
comment on column analytics.high_risk_events.service is 'Name of the service.';
comment on column analytics.high_risk_events.endpoint is 'Route or operation; null for what has none.';
comment on column analytics.high_risk_events.level is 'Severity; error and critical count as failed.';
comment on column analytics.high_risk_events.status_code is 'HTTP status, 100..599; null for what has none.';
comment on column analytics.high_risk_events.latency_ms is 'Duration in ms, not negative; null for what has none.';
comment on column analytics.high_risk_events.business_risk_score is 'Risk that the service sees in it: above 0.7, up to 1.';
comment on column analytics.high_risk_events.user_id is
  'Identifier of the user who made the request; null when it was not sent. For operators.';
comment on column analytics.high_risk_events.source_ip is 'Address that the request came from; null when it was not sent. For operators.';
comment on column analytics.high_risk_events.geo_country is 'Country that the request came from; null when it was not sent.';
comment on column analytics.high_risk_events.user_subscription_tier is 'Subscription of the user; null when it was not sent.';
comment on column analytics.high_risk_events.request_id is 'Identifier of the request; null when it was not sent.';
comment on column analytics.high_risk_events.trace_id is 'Identifier of the trace; null when it was not sent.';
--! EndIncluded views/high_risk_events.sql
--! Included functions/analytics/metrics.sql
-- One function over the three levels; the branches that are not asked for cost nothing (one-time filters).
create or replace function analytics.metrics(
  resolution analytics.resolution,
  service text default null,
  since timestamptz default now() - interval '1 hour',
  until timestamptz default now()
)
returns setof analytics.metrics_bucket
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return query execute format(
    'select * from analytics.%I where bucket >= $1 and bucket < $2 %s order by bucket, service',
    case resolution
      when 'one_minute' then 'metrics_1min'
      when 'five_minutes' then 'metrics_5min'
      else 'metrics_1hour'
    end,
    case when service is not null then 'and service = $3' end
  )
  using since, until, service;
end;
$$;

comment on function analytics.metrics(analytics.resolution, text, timestamptz, timestamptz) is
  'Metrics in buckets of one resolution, oldest first.
- resolution: Width of the buckets.
- service: Only this service; null (the default): all.
- since: Start of the first bucket at the earliest; by default an hour ago.
- until: Only buckets that start before this; by default now.';
--! EndIncluded functions/analytics/metrics.sql
--! Included functions/analytics/service_summary.sql
-- The whole range as one row a service, merged from sums, histograms and sketches.
create or replace function analytics.service_summary(
  since timestamptz default now() - interval '24 hours',
  until timestamptz default now()
)
returns setof analytics.service_metrics
language sql
stable
parallel unsafe
begin atomic
  select
    m.service,
    m.total_requests,
    m.successful_requests,
    m.failed_requests,
    m.error_rate,
    m.total_requests / nullif(extract(epoch from until - since), 0)::double precision,
    m.latency_min,
    m.latency_p50,
    m.latency_p95,
    m.latency_p99,
    m.latency_max,
    m.latency_mean,
    m.unique_users,
    m.unique_ips,
    m.avg_risk_score,
    m.high_risk_count
  from internal.window_metrics(since, until) as m
  order by m.service;
end;

comment on function analytics.service_summary(timestamptz, timestamptz) is
  'Metrics over a range, one row for each service with events in it. Exact to the event while raw events are kept, to the finest '
  'kept bucket after that.
- since: Start of the range, included; by default 24 hours ago.
- until: End of the range, not included; by default now.';
--! EndIncluded functions/analytics/service_summary.sql
--! Included functions/analytics/sla.sql
-- From sums over the period, never from an average of ratios.
-- Definer: its body reaches into schema internal, where who asks need not be let in.
create or replace function analytics.sla(
  service text default null,
  period interval default interval '24 hours',
  objective double precision default 99.9
)
returns setof analytics.service_level
language plpgsql
stable
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if objective is null or not objective between 0 and 100 then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('sla: the objective is %s, but must be a percentage from 0 to 100', coalesce(objective::text, 'NULL'));
  end if;
  if period is null or period <= interval '0' then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('sla: the period is %s, but must be longer than zero', coalesce(period::text, 'NULL'));
  end if;
  return query
    select
      m.service,
      m.total_requests,
      m.failed_requests,
      100 - m.error_rate,
      objective,
      100 - m.error_rate >= objective,
      m.total_requests * (100 - objective) / 100,
      m.total_requests * (100 - objective) / 100 - m.failed_requests,
      m.latency_p99
    from internal.window_metrics(now() - period, now(), sla.service) as m
    order by m.service;
end;
$$;

comment on function analytics.sla(text, interval, double precision) is
  'How services kept an objective over the last period, one row for each service with events in it. An objective outside 0..100 '
  'or a period that is not positive is an error (SQLSTATE 22023).
- service: Only this service; null (the default): all.
- period: How far back from now; by default 24 hours.
- objective: The availability aimed at, in percent, 0..100; by default 99.9.';

revoke all on function analytics.sla(text, interval, double precision) from public;
--! EndIncluded functions/analytics/sla.sql

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

--! Included functions/internal/alert_metrics.sql
-- The one registry of what a rule can measure: the built-in metrics, and the functions of schema alert_metrics.
create or replace function internal.alert_metrics()
returns table (
  name text,
  builtin boolean,
  usable boolean,
  takes_as_of boolean
)
language sql
stable
parallel unsafe
begin atomic
  with builtin as (
    select unnest(array[
      'error_rate', 'error_count', 'total_requests', 'throughput', 'latency_p50', 'latency_p95', 'latency_p99',
      'latency_mean', 'latency_max', 'avg_risk_score', 'high_risk_count', 'unique_users'
    ]) as name
  )
  select builtin.name, true, true, true
  from builtin
  union all
  select
    custom.proname::text,
    false,
    bool_or(forms.plain or forms.with_as_of),
    bool_or(forms.with_as_of)
  from pg_proc as custom
  cross join lateral (
    select
      array['interval'::regtype, 'text'::regtype, 'double precision'::regtype]::oid[] as plain,
      array['interval'::regtype, 'timestamptz'::regtype, 'text'::regtype, 'double precision'::regtype]::oid[] as with_as_of
  ) as types
  cross join lateral (
    select
      custom.proretset and custom.proallargtypes = types.plain and custom.proargmodes = '{i,t,t}'::"char"[] as plain,
      custom.proretset and custom.proallargtypes = types.with_as_of and custom.proargmodes = '{i,i,t,t}'::"char"[] as with_as_of
  ) as forms
  where custom.pronamespace = 'alert_metrics'::regnamespace
    and custom.proname not in (select builtin.name from builtin)
  group by custom.proname;
end;

comment on function internal.alert_metrics() is
  'The metrics that alert rules can name: built-in ones, and functions in schema alert_metrics; usable says that the function has '
  'the form <name>(lookback interval) returns table (service text, value double precision), takes_as_of that it has a second argument '
  'as_of timestamptz. A built-in name cannot be taken over.';
--! EndIncluded functions/internal/alert_metrics.sql
--! Included functions/internal/known_services.sql
-- Which services a rule for * expects to hear from. Bounded, so that a service that was switched off does not alert for ever.
create or replace function internal.known_services(as_of timestamptz)
returns table (service text, known_since timestamptz)
language sql
stable
parallel unsafe
begin atomic
  select services.service, services.known_since
  from analytics.services
  where services.first_seen <= as_of
    and services.last_seen > as_of - interval '1 day';
end;

comment on function internal.known_services(timestamptz) is
  'Services that sent an event within the day before as_of, and since when that is so. For these, silence is a measured zero; all '
  'others are unknown.';
--! EndIncluded functions/internal/known_services.sql
--! Included functions/internal/check_alert_metric.sql
-- For rules that are stored and rules that are only tried.
create or replace function internal.check_alert_metric(metric text, owner text)
returns void
language plpgsql
stable
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
  is_usable constant boolean := (select usable from internal.alert_metrics() where name = metric);
begin
  if is_usable is null then
    raise exception using
      errcode = 'check_violation',
      message = format('unknown metric %I of %s', metric, owner),
      hint = format(
        'Use one of %s; or create function alert_metrics.%I(lookback interval) '
        'returns table (service text, value double precision).',
        (select string_agg(name, ', ' order by builtin desc, name) from internal.alert_metrics() where usable), metric
      );
  elsif not is_usable then
    raise exception using
      errcode = 'check_violation',
      message = format('function alert_metrics.%I of %s does not have the form of a metric', metric, owner),
      hint = format('Make it alert_metrics.%I(lookback interval) returns table (service text, value double precision).', metric);
  end if;
end;
$$;

comment on function internal.check_alert_metric(text, text) is
  'Refuses a metric that does not exist or has the wrong form (23514), and names the known ones; owner is who wants it.';
--! EndIncluded functions/internal/check_alert_metric.sql
--! Included functions/internal/check_alert_lookback.sql
-- For rules that are stored and rules that are only tried.
create or replace function internal.check_alert_lookback(lookback interval, owner text)
returns void
language plpgsql
stable
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
  raw_kept constant interval := (select keep from analytics.retention where tier = 'raw');
begin
  if lookback > raw_kept then
    raise exception using
      errcode = 'check_violation',
      message = format('lookback %s of %s is longer than raw events are kept, %s', lookback, owner, raw_kept),
      hint = 'Shorten the lookback, or raise keep of tier raw in analytics.retention.';
  end if;
end;
$$;

comment on function internal.check_alert_lookback(interval, text) is
  'Refuses a lookback above the raw retention (23514); owner is whose it is.';
--! EndIncluded functions/internal/check_alert_lookback.sql
--! Included functions/internal/check_alert_rule.sql
-- What a constraint cannot see: other tables and the catalog. It also counts the versions, which nobody can set by hand.
-- last_error and failing_since belong to the evaluation; writing them is no change of the rule.
create or replace function internal.check_alert_rule()
returns trigger
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'UPDATE' then
    new.version := old.version;
    new.created_at := old.created_at;
    new.updated_at := old.updated_at;
    if (new.last_error, new.failing_since) is distinct from (old.last_error, old.failing_since)
      or new is not distinct from old then
      return new;
    end if;
    new.version := old.version + 1;
    new.updated_at := now();
    new.last_error := null;
    new.failing_since := null;
  else
    new.version := 1;
    new.created_at := now();
    new.updated_at := now();
  end if;

  if tg_op = 'INSERT' or new.metric <> old.metric then
    perform internal.check_alert_metric(new.metric, format('alert rule %s', new.id));
  end if;

  if tg_op = 'INSERT' or new.lookback <> old.lookback then
    perform internal.check_alert_lookback(new.lookback, format('alert rule %s', new.id));
  end if;
  return new;
end;
$$;

comment on function internal.check_alert_rule() is
  'Trigger: refuses a metric that does not exist and a lookback above the raw retention (23514); counts versions.';
--! EndIncluded functions/internal/check_alert_rule.sql
--! Included functions/internal/reset_alerts.sql
-- An open alert belongs to the rule as it was when it began; with that gone it is over. Definer: who may edit rules may not
-- write alerts.
create or replace function internal.reset_alerts()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'DELETE' then
    update analytics.alerts
    set status = 'resolved', reason = 'rule_deleted', changed_at = clock_timestamp(), resolved_at = clock_timestamp()
    from old_rules
    where alerts.rule_id = old_rules.id
      and alerts.status <> 'resolved';
  else
    update analytics.alerts
    set
      status = 'resolved',
      reason = case
        when new_rules.enabled then 'rule_changed'
        when new_rules.id is null then 'rule_deleted'
        else 'rule_disabled'
      end::analytics.alert_reason,
      changed_at = clock_timestamp(),
      resolved_at = clock_timestamp()
    from old_rules
    left join new_rules on new_rules.id = old_rules.id
    where alerts.rule_id = old_rules.id
      and alerts.status <> 'resolved'
      and new_rules.version is distinct from old_rules.version;
  end if;
  delete from analytics.alerts where status = 'resolved' and triggered_at is null;
  return null;
end;
$$;

comment on function internal.reset_alerts() is
  'Trigger: resolves the open alerts of rules that were changed, disabled or deleted, with that as the reason.';

revoke all on function internal.reset_alerts() from public;
--! EndIncluded functions/internal/reset_alerts.sql
--! Included functions/internal/alert_text.sql
-- One sentence about an alert, for people: the same in the view and in the message.
create or replace function internal.alert_text(
  rule_name text,
  service text,
  metric text,
  operator analytics.alert_operator,
  threshold double precision,
  lookback interval,
  value double precision
)
returns text
language sql
stable
parallel safe
return format(
  '%s on %s: %s over %s s is %s, alert when %s %s',
  rule_name,
  service,
  metric,
  trim_scale(extract(epoch from lookback)),
  case
    when value is null then 'unknown for lack of data'
    when abs(value) < 1e15 then trim_scale(round(value::numeric, 3))::text
    else value::text
  end,
  operator,
  threshold
);

comment on function internal.alert_text(text, text, text, analytics.alert_operator, double precision, interval, double precision) is
  'Describes an alert in a sentence: rule, service, and the value beside the threshold; a NULL value is no data.';
--! EndIncluded functions/internal/alert_text.sql
--! Included functions/internal/record_alert_history.sql
-- Whoever changes an alert, and how: its history gets a row in the same transaction. Definer: nobody but this writes history.
create or replace function internal.record_alert_history()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' then
    insert into analytics.alert_history (
      alert_id, rule_id, rule_version, service, status, reason, value, as_of, watermark
    )
    select id, rule_id, rule_version, service, status, reason, value, changed_at, watermark
    from new_alerts
    order by id;
    return null;
  end if;

  insert into analytics.alert_history (
    alert_id, rule_id, rule_version, service, previous_status, status, reason, value, as_of, watermark, author, comment
  )
  select
    new_alerts.id, new_alerts.rule_id, new_alerts.rule_version, new_alerts.service, old_alerts.status, new_alerts.status,
    new_alerts.reason, new_alerts.value, new_alerts.changed_at, new_alerts.watermark,
    case new_alerts.reason when 'acknowledged' then new_alerts.acknowledged_by when 'resolved_by_hand' then new_alerts.resolved_by end,
    case when new_alerts.comment is distinct from old_alerts.comment then new_alerts.comment end
  from new_alerts
  join old_alerts on old_alerts.id = new_alerts.id
  where (new_alerts.status, new_alerts.reason) is distinct from (old_alerts.status, old_alerts.reason)
  order by new_alerts.id;

  -- a pending alert that never became active is no alert; its history stays
  delete from analytics.alerts where status = 'resolved' and triggered_at is null;
  return null;
end;
$$;

comment on function internal.record_alert_history() is
  'Trigger: writes a row of alert_history for each alert whose status or reason changed, and drops pending ones that are over.';

revoke all on function internal.record_alert_history() from public;
--! EndIncluded functions/internal/record_alert_history.sql
--! Included functions/internal/notify_alert_changes.sql
-- For subscriptions: who listens hears of a change when it is committed. Ids only, since anybody in the database may listen. A
-- notification holds at most 8000 bytes: 300 ids of up to 19 digits.
create or replace function internal.notify_alert_changes()
returns trigger
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_notify('alert_changes', string_agg(id::text, ',' order by id))
  from (select id, (row_number() over (order by id) - 1) / 300 as part from new_history) as parts
  group by part
  order by part;
  return null;
end;
$$;

comment on function internal.notify_alert_changes() is
  'Trigger: sends the ids of new rows of alert_history to the channel alert_changes, when the transaction commits.';

revoke all on function internal.notify_alert_changes() from public;
--! EndIncluded functions/internal/notify_alert_changes.sql
--! Included functions/internal/send_alert_messages.sql
-- Messages go through a table in the order of their ids, and not one a job: a job that fails is tried again later, and the next
-- one of the same alert would overtake it. Definer: who may acknowledge an alert may not write messages.
create or replace function internal.send_alert_messages()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
begin
  insert into internal.alert_messages (key, message)
  select alerts.rule_id || ':' || alerts.service, row_to_json(outgoing)::text
  from new_history
  join analytics.alerts on alerts.id = new_history.alert_id
  cross join lateral (
    select case
      when new_history.status = 'resolved' then 'resolved'
      when new_history.status = 'acknowledged' and new_history.previous_status = 'active' then 'acknowledged'
      when new_history.status = 'active'
        and (new_history.reason = 'silence_ended' or new_history.previous_status is distinct from 'active') then 'triggered'
    end as event
  ) as sent
  cross join lateral (
    select
      md5(json_build_array(
        alerts.rule_id, alerts.service, extract(epoch from alerts.started_at),
        array_position(array['triggered', 'acknowledged', 'resolved'], sent.event)
      )::text)::uuid as event_id,
      sent.event,
      alerts.id as alert_id,
      alerts.rule_id,
      alerts.rule_name,
      alerts.service,
      alerts.severity,
      alerts.metric,
      alerts.operator,
      alerts.threshold,
      alerts.value,
      initcap(sent.event) || ': ' || internal.alert_text(
        alerts.rule_name, alerts.service, alerts.metric, alerts.operator, alerts.threshold, alerts.lookback, alerts.value
      ) as message,
      alerts.triggered_at,
      alerts.resolved_at,
      alerts.evaluated_at
  ) as outgoing
  where alerts.notified_at is not null
    and sent.event is not null
  order by new_history.id;

  if found then
    -- no job key: two transactions that add the same key wait for each other, and an editor who thinks must not hold up alerts
    perform graphile_worker.add_job('publish_alert', priority => -10);
  end if;
  return null;
end;
$$;

comment on function internal.send_alert_messages() is
  'Trigger: writes the message to Kafka for alerts that were triggered, acknowledged or resolved, if they are not silenced. '
  'event_id is made of rule, service, start of the episode and place in it, the same however often a message is delivered.';

revoke all on function internal.send_alert_messages() from public;
--! EndIncluded functions/internal/send_alert_messages.sql
--! Included functions/internal/is_silenced.sql
-- Asked when an alert fires, and for firing ones that were muted: silences delay the first message, never the last.
create or replace function internal.is_silenced(
  rule_id text,
  service text,
  severity analytics.alert_severity,
  as_of timestamptz
)
returns boolean
language sql
stable
parallel unsafe
return exists (
  select
  from analytics.silences
  where silences.starts_at <= as_of
    and silences.ends_at > as_of
    and coalesce(silences.rule_id = is_silenced.rule_id, true)
    and coalesce(silences.service = is_silenced.service, true)
    and coalesce(silences.severity = is_silenced.severity, true)
);

comment on function internal.is_silenced(text, text, analytics.alert_severity, timestamptz) is
  'Whether a silence mutes the messages of an alert: each column that a silence fills in must match, an empty one always does.';
--! EndIncluded functions/internal/is_silenced.sql
--! Included functions/internal/breaches.sql
-- The six operators of a rule.
create or replace function internal.breaches(
  value double precision,
  operator analytics.alert_operator,
  threshold double precision
)
returns boolean
language sql
immutable
parallel safe
return case operator
  when '>' then value > threshold
  when '>=' then value >= threshold
  when '<' then value < threshold
  when '<=' then value <= threshold
  when '==' then value = threshold
  when '!=' then value <> threshold
end;

comment on function internal.breaches(double precision, analytics.alert_operator, double precision) is
  'Whether a value is on the alerting side of a threshold; NULL for no value.';
--! EndIncluded functions/internal/breaches.sql
--! Included functions/internal/alert_window_rows.sql
-- internal.window_rows for several ranges that end at the same moment, which all rules share: the newest events, those after the
-- last refresh of the roll-ups, are read once and not once a lookback. They are what costs: 0.3 us an event, 7 s of them on
-- average. Without the sketches, which would cost twice as much again; the one metric that needs them takes window_metrics.
create or replace function internal.alert_window_rows(as_of timestamptz, lookbacks interval[])
returns table (
  lookback interval,
  service text,
  total_requests bigint,
  failed_requests bigint,
  latency_count bigint,
  latency_sum double precision,
  latency_min double precision,
  latency_max double precision,
  latency_histogram integer[],
  risk_count bigint,
  risk_sum double precision,
  high_risk_count bigint
)
language plpgsql
stable
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
  origin constant timestamptz := '2000-01-01 00:00:00+00';
  width constant interval := '10 s';
  -- up to here one bucket is enough; longer ones go over the coarser levels
  fine_until constant interval := '10 minutes';
  -- end of the newest bucket that is materialized and wholly before as_of
  settled constant timestamptz := least(
    (select refreshed_until from internal.rollups where name = '10s'),
    date_bin(width, as_of, origin)
  );
  -- those with something before it, and where their first whole bucket begins
  fine_lookbacks constant interval[] := array(
    select l from unnest(lookbacks) as l where l <= fine_until and as_of - l < settled
  );
  first_buckets constant timestamptz[] := array(
    select date_bin(width, as_of - l + width - interval '1 microsecond', origin) from unnest(fine_lookbacks) as l
  );
begin
  -- the newest, for all
  return query
    select l, newest.service, newest.total_requests, newest.failed_requests, newest.latency_count, newest.latency_sum,
      newest.latency_min, newest.latency_max, newest.latency_histogram, newest.risk_count, newest.risk_sum,
      newest.high_risk_count
    from internal.event_rows(settled, as_of) as newest
    cross join unnest(lookbacks) as l
    where as_of - l < settled;

  -- whole buckets; execute, because TimescaleDB leaves out the part that is not materialized only if it knows the bounds
  if fine_lookbacks <> '{}' then
    return query execute
      'select windows.l, service, total_requests, failed_requests, latency_count, latency_sum, latency_min, latency_max,
         latency_histogram, risk_count, risk_sum, high_risk_count
       from internal.metrics_10s_v1
       join unnest($3, $4) as windows (l, first_bucket) on bucket >= windows.first_bucket
       where bucket >= $1 and bucket < $2'
    using (select min(first_bucket) from unnest(first_buckets) as first_bucket), settled, fine_lookbacks, first_buckets;
  end if;

  -- the events before the first whole bucket
  return query
    select l, edge.service, edge.total_requests, edge.failed_requests, edge.latency_count, edge.latency_sum,
      edge.latency_min, edge.latency_max, edge.latency_histogram, edge.risk_count, edge.risk_sum, edge.high_risk_count
    from unnest(fine_lookbacks, first_buckets) as windows (l, first_bucket)
    cross join lateral internal.event_rows(as_of - l, first_bucket) as edge;

  -- lookbacks so short, or roll-ups so old, that there is no bucket at all
  return query
    select l, edge.service, edge.total_requests, edge.failed_requests, edge.latency_count, edge.latency_sum,
      edge.latency_min, edge.latency_max, edge.latency_histogram, edge.risk_count, edge.risk_sum, edge.high_risk_count
    from unnest(lookbacks) as l
    cross join lateral internal.event_rows(as_of - l, as_of) as edge
    where (as_of - l >= settled) is not false;

  return query
    select l, older.service, older.total_requests, older.failed_requests, older.latency_count, older.latency_sum,
      older.latency_min, older.latency_max, older.latency_histogram, older.risk_count, older.risk_sum, older.high_risk_count
    from unnest(lookbacks) as l
    cross join lateral internal.window_rows(as_of - l, settled) as older
    where l > fine_until and as_of - l < settled;
end;
$$;

comment on function internal.alert_window_rows(timestamptz, interval[]) is
  'Additive rows that together cover the lookback before as_of, for each lookback; as exact as internal.window_rows.';
--! EndIncluded functions/internal/alert_window_rows.sql
--! Included functions/internal/builtin_metric_samples.sql
-- The built-in metrics that enabled rules use, each lookback computed once however many rules share it. The meaning is that of
-- internal.window_metrics, and a test holds them to agree; what is not used is not computed, which is most of the cost.
-- Percentiles are the dearest (0.1 ms each), and a percentile is never above the maximum: where the maximum is below every
-- threshold and no alert is open, it stands in for them.
create or replace function internal.builtin_metric_samples(as_of timestamptz)
returns setof internal.metric_sample
language sql
stable
parallel unsafe
begin atomic
  with used as materialized (
    select
      rules.lookback,
      array_agg(distinct rules.metric) as metrics,
      array_agg(distinct rules.service) filter (where rules.service <> '*') as named,
      min(case when rules.operator in ('>', '>=') then rules.threshold else '-infinity' end)
        filter (where starts_with(rules.metric, 'latency_p')) as percentiles_matter_from
    from analytics.alert_rules as rules
    join internal.alert_metrics() as metrics on metrics.name = rules.metric and metrics.builtin
    where rules.enabled
    group by rules.lookback
  ),
  parts as materialized (
    select
      lookback, service, total_requests, failed_requests, latency_count, latency_sum, latency_min, latency_max,
      risk_count, risk_sum, high_risk_count,
      -- of 402 bins those in use: the rest would be most of what is written to temporary files with 1000 services
      internal.latency_histogram_bin(latency_min) as first_bin,
      latency_histogram[internal.latency_histogram_bin(latency_min):internal.latency_histogram_bin(latency_max)] as used_bins
    from internal.alert_window_rows(as_of, array(select lookback from used))
  ),
  sums as materialized (
    select
      row_number() over () as place, -- to group and sort by, which is slow by text
      lookback,
      service,
      sum(total_requests)::bigint as total_requests,
      sum(failed_requests)::bigint as failed_requests,
      sum(latency_count)::bigint as latency_count,
      sum(latency_sum) as latency_sum,
      min(latency_min) as latency_min,
      max(latency_max) as latency_max,
      sum(risk_count)::bigint as risk_count,
      sum(risk_sum) as risk_sum,
      sum(high_risk_count)::bigint as high_risk_count
    from parts
    group by lookback, service
  ),
  watched as materialized (
    select distinct lookback, service
    from analytics.alerts
    where status <> 'resolved' and starts_with(metric, 'latency_p')
  ),
  bins as (
    select
      sums.place,
      first_bin + ordinality - 1 as bin,
      sum(sum(count)) over (partition by sums.place order by first_bin + ordinality) as up_to
    from sums
    join used on used.lookback = sums.lookback
    join parts on parts.lookback = sums.lookback and parts.service = sums.service
    cross join unnest(parts.used_bins) with ordinality as histogram (count, ordinality)
    where count > 0
      and (sums.latency_max >= used.percentiles_matter_from or (sums.lookback, sums.service) in (select * from watched))
    group by sums.place, first_bin + ordinality
  ),
  percentile_bins as (
    select
      sums.place,
      min(bin) filter (where up_to >= 0.5 * latency_count) as p50,
      min(bin) filter (where up_to >= 0.95 * latency_count) as p95,
      min(bin) filter (where up_to >= 0.99 * latency_count) as p99
    from bins
    join sums on sums.place = bins.place
    group by sums.place
  ),
  users as (
    select used.lookback, measured.service, measured.unique_users
    from used
    cross join lateral internal.window_metrics(as_of - used.lookback, as_of) as measured
    where 'unique_users' = any (used.metrics)
  ),
  services as (
    select lookback, service, bool_or(known) as known, bool_or(whole) as whole
    from (
      select sums.lookback, sums.service, true as known, false as whole from sums
      union all
      select used.lookback, known.service, true, known.known_since <= as_of - used.lookback
      from used
      cross join internal.known_services(as_of) as known
      union all
      select used.lookback, unnest(used.named), false, false from used
    ) as listed
    group by lookback, service
  )
  select
    sample.metric,
    used.lookback,
    services.service,
    sample.value,
    -- a count is true for any number of requests, so min_requests does not apply to it
    case when not sample.counts then coalesce(sums.total_requests, 0) end,
    services.known,
    services.whole or not sample.counts
  from services
  join used on used.lookback = services.lookback
  left join sums on sums.lookback = services.lookback and sums.service = services.service
  left join percentile_bins on percentile_bins.place = sums.place
  left join users on users.lookback = services.lookback and users.service = services.service
  cross join lateral (
    values
      ('error_rate', internal.error_rate(sums.failed_requests, sums.total_requests), false),
      ('error_count', coalesce(sums.failed_requests, 0), true),
      ('total_requests', coalesce(sums.total_requests, 0), true),
      ('throughput', coalesce(sums.total_requests, 0) / extract(epoch from used.lookback)::double precision, true),
      ('latency_p50', coalesce(internal.histogram_bin_middle(p50, latency_min, latency_max), latency_max), false),
      ('latency_p95', coalesce(internal.histogram_bin_middle(p95, latency_min, latency_max), latency_max), false),
      ('latency_p99', coalesce(internal.histogram_bin_middle(p99, latency_min, latency_max), latency_max), false),
      ('latency_mean', sums.latency_sum / nullif(sums.latency_count, 0), false),
      ('latency_max', sums.latency_max, false),
      ('avg_risk_score', sums.risk_sum / nullif(sums.risk_count, 0), false),
      ('high_risk_count', coalesce(sums.high_risk_count, 0), true),
      ('unique_users', coalesce(users.unique_users, 0), true)
  ) as sample (metric, value, counts)
  where sample.metric = any (used.metrics);
end;

comment on function internal.builtin_metric_samples(timestamptz) is
  'Value of every built-in metric that enabled rules use, over each of their lookbacks before as_of, for all known services and '
  'those that rules name. A silent service has counts of 0 and NULL for everything else.';
--! EndIncluded functions/internal/builtin_metric_samples.sql
--! Included functions/internal/call_alert_metric.sql
-- One call of a metric that a user wrote. What it raises is the fault of the metric; who calls it decides what that means.
create or replace function internal.call_alert_metric(metric text, lookback interval, as_of timestamptz)
returns setof internal.metric_sample
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
  takes_as_of constant boolean := (select m.takes_as_of from internal.alert_metrics() as m where m.name = metric);
  samples internal.metric_sample[];
  unnamed bigint;
  repeated bigint;
begin
  -- for functions that want the exact moment but take no argument for it
  perform set_config('stacklens.as_of', as_of::text, true);

  execute format(
    'select
       array_agg(row(%L, $1, service, nullif(value, ''NaN''), null, true, true)::internal.metric_sample),
       count(*) filter (where service is null),
       count(service) - count(distinct service)
     from alert_metrics.%I(%s)',
    metric, metric, case when takes_as_of then '$1, $2' else '$1' end
  )
  into samples, unnamed, repeated
  using lookback, as_of;

  if unnamed > 0 then
    raise exception using errcode = 'data_exception', message = 'it returned a row without a service';
  elsif repeated > 0 then
    raise exception using errcode = 'data_exception', message = 'it returned more than one row for a service';
  end if;
  return query select * from unnest(samples);
end;
$$;

comment on function internal.call_alert_metric(text, interval, timestamptz) is
  'Values of a function of schema alert_metrics, one a service; as_of is its second argument if it has one, and the setting '
  'stacklens.as_of. Error 22000 for a row without a service or a second one for the same.';
--! EndIncluded functions/internal/call_alert_metric.sql
--! Included functions/internal/custom_metric_samples.sql
-- Calls the metrics that users wrote. A failure is theirs alone: it is written to the rules that use the metric, and whoever
-- evaluates goes on. A metric that runs into the statement_timeout of the caller rests for a minute, so that it delays the other
-- alerts once a minute and not each time.
create or replace function internal.custom_metric_samples(as_of timestamptz)
returns setof internal.metric_sample
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
  time_limit constant bigint := (select setting from pg_settings where name = 'statement_timeout'); -- ms, 0: none
  out_of_time boolean := false;
  used record;
  samples internal.metric_sample[];
  failure text;
begin
  for used in
    select rules.metric, rules.lookback, rests.until > clock_timestamp() as resting
    from analytics.alert_rules as rules
    left join internal.alert_metric_rests as rests on rests.metric = rules.metric and rests.lookback = rules.lookback
    where rules.enabled
      and rules.metric not in (select name from internal.alert_metrics() where builtin)
    group by rules.metric, rules.lookback, rests.until
    order by rests.until nulls first, rules.metric, rules.lookback
  loop
    samples := null;
    failure := case
      when used.resting then format('it took longer than %s ms and rests for a minute', time_limit)
      when out_of_time then 'another metric took all the time there was'
    end;

    if failure is null then
      begin
        samples := array(select sample from internal.call_alert_metric(used.metric, used.lookback, as_of) as sample);
      exception
        when query_canceled then
          -- The timeout strikes once a statement, and its clock may have started a little before statement_timestamp. Any other
          -- cancel is not the fault of the metric.
          if time_limit = 0 or clock_timestamp() < statement_timestamp() + 0.8 * time_limit * interval '1 ms' then
            raise;
          end if;
          out_of_time := true;
          failure := format('it took longer than %s ms and rests for a minute', time_limit);
          insert into internal.alert_metric_rests (metric, lookback, until)
          values (used.metric, used.lookback, clock_timestamp() + interval '1 minute')
          on conflict (metric, lookback) do update set until = excluded.until;
        when others then
          failure := sqlerrm;
      end;
    end if;

    if failure is null then
      return query select * from unnest(samples);
    end if;
    update analytics.alert_rules as rules
    set last_error = failure, failing_since = case when failure is not null then coalesce(rules.failing_since, as_of) end
    -- a rule that somebody is editing is not waited for
    where rules.id in (
      select id
      from analytics.alert_rules
      where enabled and metric = used.metric and lookback = used.lookback and last_error is distinct from failure
      for update skip locked
    );
  end loop;
end;
$$;

comment on function internal.custom_metric_samples(timestamptz) is
  'Values of the metrics of schema alert_metrics that enabled rules use. A metric that fails is left out, and its rules get '
  'last_error and failing_since.';
--! EndIncluded functions/internal/custom_metric_samples.sql
--! Included functions/internal/breaching_pairs.sql
-- Every rule against every service, in time that grows with what breaches and not with rules x services: the values of a metric
-- are sorted once, and width_bucket finds by binary search where a threshold cuts them. 10 000 rules on 100 services are
-- 20 000 searches of less than 1 us instead of a million comparisons.
create or replace function internal.breaching_pairs(as_of timestamptz, samples internal.metric_sample[])
returns table (
  rule_id text,
  service text,
  value double precision
)
language sql
stable
parallel unsafe
begin atomic
  with rules as materialized (
    select id, service, metric, lookback, operator, threshold, min_requests, on_no_data
    from analytics.alert_rules
    where enabled and last_error is null
  ),
  measured as materialized (
    select * from unnest(samples) where value is not null
  ),
  ranked as materialized (
    select
      metric, lookback, service, value, requests, whole,
      row_number() over (partition by metric, lookback order by value) as place
    from measured
    where known
  ),
  vectors as materialized (
    select
      metric,
      lookback,
      count(*)::integer as size,
      array_agg(value order by value) as values_up,
      array_agg(-value order by value desc) as negated_values_up
    from ranked
    group by metric, lookback
  ),
  cuts as (
    select
      rules.id, rules.operator, rules.min_requests, vectors.metric, vectors.lookback, vectors.size,
      vectors.size - width_bucket(-rules.threshold, vectors.negated_values_up) as below,
      width_bucket(rules.threshold, vectors.values_up) as up_to
    from rules
    join vectors on vectors.metric = rules.metric and vectors.lookback = rules.lookback
    where rules.service = '*'
  ),
  slices as (
    select
      id, operator, min_requests, metric, lookback,
      case operator when '>' then up_to when '>=' then below when '==' then below else 0 end as after,
      case operator when '<' then below when '<=' then up_to when '==' then up_to when '!=' then below else size end as upto
    from cuts
    union all
    select id, operator, min_requests, metric, lookback, up_to, size
    from cuts
    where operator = '!='
  )
  select slices.id, ranked.service, ranked.value
  from slices
  join ranked on ranked.metric = slices.metric and ranked.lookback = slices.lookback
  where slices.after < slices.upto -- for most rules the search ends here
    and ranked.place > slices.after
    and ranked.place <= slices.upto
    and (ranked.requests is null or ranked.requests >= slices.min_requests)
    and (ranked.whole or slices.operator in ('>', '>=')) -- what is too much already needs no whole lookback
  union all
  select rules.id, measured.service, measured.value
  from rules
  join measured
    on measured.metric = rules.metric and measured.lookback = rules.lookback and measured.service = rules.service
  where internal.breaches(measured.value, rules.operator, rules.threshold)
    and (measured.requests is null or measured.requests >= rules.min_requests)
  union all
  -- no data is a breach for the rules that want it so
  select rules.id, expected.service, null
  from rules
  cross join lateral (
    select known.service from internal.known_services(as_of) as known where rules.service = '*'
    union all
    select rules.service where rules.service <> '*'
  ) as expected
  where rules.on_no_data = 'alert'
    and not exists (
      select
      from measured
      where measured.metric = rules.metric
        and measured.lookback = rules.lookback
        and measured.service = expected.service
        and (measured.requests is null or measured.requests >= rules.min_requests)
    );
end;

comment on function internal.breaching_pairs(timestamptz, internal.metric_sample[]) is
  'Rule, service and value of all that breaches at as_of; the value is NULL where missing data is a breach. Rules that are '
  'disabled, or whose metric fails, are left out.';
--! EndIncluded functions/internal/breaching_pairs.sql
--! Included functions/internal/hold_alert_messages.sql
-- A short lease that its holder renews: a sender that waits for Kafka keeps it however long that takes, and one that crashed loses
-- it within seconds.
create or replace function internal.hold_alert_messages(holder uuid, lease interval default '10 s')
returns void
language sql
volatile
parallel unsafe
begin atomic
  update internal.alert_publisher
  set held_until = clock_timestamp() + hold_alert_messages.lease
  where alert_publisher.holder = hold_alert_messages.holder;
end;

comment on function internal.hold_alert_messages(uuid, interval) is
  'Renews the lease on sending alert messages, to be called every few seconds; a lease of 0 gives it back.';
--! EndIncluded functions/internal/hold_alert_messages.sql
--! Included functions/internal/next_alert_messages.sql
-- One statement a batch: what was sent last time goes, what is to be sent now comes. Whoever finds the lease taken can leave: the
-- holder looks again after each batch, and gives the lease back in the transaction that found nothing. Should the holder have
-- crashed, a job looks after the messages once the lease is over.
create or replace function internal.next_alert_messages(
  holder uuid,
  sent bigint[] default '{}',
  max_messages integer default 500
)
returns table (
  id bigint,
  key text,
  message text
)
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  update internal.alert_publisher
  set holder = next_alert_messages.holder
  where holder = next_alert_messages.holder
    or held_until <= clock_timestamp();
  if not found then
    perform graphile_worker.add_job('publish_alert', run_at => held_until, job_key => 'publish_alert after the lease')
    from internal.alert_publisher
    where exists (select from internal.alert_messages);
    return;
  end if;
  perform internal.hold_alert_messages(next_alert_messages.holder);

  delete from internal.alert_messages where id = any (next_alert_messages.sent);

  return query
    select id, key, message
    from internal.alert_messages
    order by id
    limit next_alert_messages.max_messages;

  if not found then
    perform internal.hold_alert_messages(next_alert_messages.holder, lease => '0');
  end if;
end;
$$;

comment on function internal.next_alert_messages(uuid, bigint[], integer) is
  'Deletes the messages that were sent and returns the next ones in their order, none when there are none or somebody else holds '
  'the lease. The holder renews it with internal.hold_alert_messages until they are sent.';
--! EndIncluded functions/internal/next_alert_messages.sql
--! Included functions/internal/clean_up.sql
-- Retention of what is not a hypertable; those have policies.
create or replace function internal.clean_up(
  out alerts bigint,
  out rejected_events bigint,
  out services bigint
)
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
  alerts_since constant timestamptz := now() - (select keep from analytics.retention where tier = 'alerts');
  rejects_since constant timestamptz := now() - (select keep from analytics.retention where tier = 'rejected_events');
  services_since constant timestamptz := now() - (select max(keep) from analytics.retention);
begin
  with
    old_alerts as (
      delete from analytics.alerts where status = 'resolved' and resolved_at < alerts_since returning 1
    ),
    -- the history of an alert that is still open stays whole
    old_history as (
      delete from analytics.alert_history as history
      where as_of < alerts_since
        and not exists (
          select from analytics.alerts
          where alerts.id = history.alert_id and (alerts.status <> 'resolved' or alerts.resolved_at >= alerts_since)
        )
      returning 1
    ),
    old_silences as (
      delete from analytics.silences where ends_at < alerts_since returning 1
    ),
    old_rejects as (
      delete from analytics.rejected_events where received_at < rejects_since returning 1
    ),
    old_services as (
      delete from analytics.services where last_seen < services_since returning 1
    )
  select
    (select count(*) from old_alerts) + (select count(*) from old_history) + (select count(*) from old_silences),
    (select count(*) from old_rejects),
    (select count(*) from old_services)
  into alerts, rejected_events, services;
end;
$$;

comment on function internal.clean_up() is
  'Deletes resolved alerts, their history, past silences, rejected events and services that are older than analytics.retention '
  'keeps them; returns how many rows of each, history and silences among the alerts.';
--! EndIncluded functions/internal/clean_up.sql
--! Included functions/internal/next_alert_state.sql
-- One step of one alert: the timing of the whole engine. The evaluation and the preview both read it, so that they cannot differ.
-- The timing is that of Prometheus: breaching starts pending; as_of - since >= pending_period fires; one clean evaluation drops a
-- pending alert; a firing one stays while as_of - first clean < keep_firing_for. Missing data and failed metrics stop both clocks.
-- Postgres inlines it where it stands in from; offset 0 keeps it from writing each expression out wherever it is used, which would
-- make hundreds of one and take 100 us to set up, ten times as long as now.
create or replace function internal.next_alert_state(
  as_of timestamptz,
  finding analytics.alert_reason,
  measured_value double precision,
  pending_period interval,
  keep_firing_for interval,
  on_no_data analytics.no_data_policy,
  status analytics.alert_status,
  reason analytics.alert_reason,
  value double precision,
  breaching_since timestamptz,
  clean_since timestamptz,
  frozen_at timestamptz
)
returns table (
  new_status analytics.alert_status,
  new_reason analytics.alert_reason,
  new_value double precision,
  new_breaching_since timestamptz,
  new_clean_since timestamptz,
  new_frozen_at timestamptz
)
language sql
stable
parallel safe
begin atomic
  select
    decided.status,
    case
      when verdict = 'clean' and decided.status <> 'resolved' then 'keep_firing'
      when finding = 'breach' and next_alert_state.status = decided.status and reason in ('acknowledged', 'silence_ended') then reason
      else finding
    end,
    case when verdict in ('breaching', 'clean') then measured_value else value end,
    case when verdict = 'frozen' then breaching_since else since end,
    case verdict when 'clean' then coalesce(first_clean, as_of) when 'frozen' then clean_since end,
    case when verdict = 'frozen' then coalesce(frozen_at, as_of) end
  from (
    select
      case
        when finding in ('rule_deleted', 'rule_disabled', 'rule_changed', 'service_gone') then 'over'
        when finding = 'breach' or (finding = 'no_data' and on_no_data = 'alert') then 'breaching'
        when finding = 'evaluation_failed' or (finding = 'no_data' and on_no_data = 'keep') then 'frozen'
        else 'clean'
      end as verdict,
      -- the clocks stood still while there was no data
      coalesce(breaching_since + coalesce(as_of - frozen_at, '0'), as_of) as since,
      clean_since + coalesce(as_of - frozen_at, '0') as first_clean
    offset 0
  ) as judged
  cross join lateral (
    select case
      when verdict = 'over' then 'resolved'
      when verdict = 'breaching' and as_of - since >= pending_period and coalesce(next_alert_state.status, 'pending') = 'pending'
        then 'active'
      when verdict = 'breaching' and next_alert_state.status is null then 'pending'
      when verdict = 'clean' and next_alert_state.status = 'pending' then 'resolved'
      when verdict = 'clean' and as_of - coalesce(first_clean, as_of) >= keep_firing_for then 'resolved'
      else next_alert_state.status
    end::analytics.alert_status as status
    offset 0
  ) as decided;
end;

comment on function internal.next_alert_state(
  timestamptz, analytics.alert_reason, double precision, interval, interval, analytics.no_data_policy,
  analytics.alert_status, analytics.alert_reason, double precision, timestamptz, timestamptz, timestamptz
) is
  'The state of an alert after the evaluation at as_of, which found a breach, clean, no_data, evaluation_failed or the end of the rule '
  'or service. Everything NULL from status on: there is no alert yet, and a breach begins one.';
--! EndIncluded functions/internal/next_alert_state.sql
--! Included functions/internal/apply_alert_samples.sql
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
--! EndIncluded functions/internal/apply_alert_samples.sql
--! Included functions/analytics/evaluate_alert_rules.sql
-- The entry to the evaluation: once for a moment, one at a time. Then it collects the values of all metrics, and
-- internal.apply_alert_samples does the rest.
create or replace function analytics.evaluate_alert_rules(as_of timestamptz default clock_timestamp())
returns integer
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
  samples internal.metric_sample[];
begin
  if not pg_try_advisory_xact_lock(hashtextextended('analytics.evaluate_alert_rules', 0)) then
    return null;
  end if;
  update internal.alert_evaluation set evaluated_at = as_of where evaluated_at < as_of;
  if not found then
    return null;
  end if;

  samples := array(select sample from internal.custom_metric_samples(as_of) as sample);
  samples := samples || array(select sample from internal.builtin_metric_samples(as_of) as sample);
  return internal.apply_alert_samples(as_of, samples);
end;
$$;

comment on function analytics.evaluate_alert_rules(timestamptz) is
  'Brings all alerts to the state that the metrics of this moment ask for and returns the number of transitions. NULL when '
  'another one evaluates at the same time, or when as_of is not after the last evaluation, which never happens twice.';
--! EndIncluded functions/analytics/evaluate_alert_rules.sql
--! Included functions/analytics/acknowledge_alert.sql
-- Definer: operators may acknowledge, but not write alerts.
create or replace function analytics.acknowledge_alert(
  alert_id bigint,
  comment text default null
)
returns analytics.alerts
language plpgsql
volatile
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  acknowledged analytics.alerts;
begin
  select * into acknowledged from analytics.alerts where id = alert_id for update;
  if acknowledged.id is null then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('there is no alert %s', coalesce(alert_id::text, 'without an id')),
      hint = 'The ids of the alerts that fire are in analytics.active_alerts.';
  elsif acknowledged.status = 'acknowledged' then
    return acknowledged;
  elsif acknowledged.status <> 'active' then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('alert %s is %s', alert_id, acknowledged.status),
      hint = 'Only an active alert can be acknowledged.';
  end if;

  update analytics.alerts
  set
    status = 'acknowledged',
    reason = 'acknowledged',
    changed_at = clock_timestamp(),
    acknowledged_at = clock_timestamp(),
    acknowledged_by = coalesce(
      nullif(current_setting('jwt.claims.sub', true), ''),
      nullif(current_setting('role'), 'none'),
      session_user
    ),
    comment = acknowledge_alert.comment
  where id = alert_id
  returning * into acknowledged;
  return acknowledged;
end;
$$;

comment on function analytics.acknowledge_alert(bigint, text) is
  'Says that somebody looks at an active alert; it stays open until it is clean. Doing it again changes nothing. An alert that is '
  'not there or does not fire is an error (SQLSTATE 22023).
- alert_id: Number of the alert.
- comment: What to say about it; it stands in the alert and in its history.
- returns: The alert, acknowledged.';

revoke all on function analytics.acknowledge_alert(bigint, text) from public;
--! EndIncluded functions/analytics/acknowledge_alert.sql
--! Included functions/analytics/resolve_alert.sql
-- Definer: operators may resolve, but not write alerts.
create or replace function analytics.resolve_alert(
  alert_id bigint,
  comment text default null
)
returns analytics.alerts
language plpgsql
volatile
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  resolved analytics.alerts;
begin
  select * into resolved from analytics.alerts where id = alert_id for update;
  if resolved.id is null then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('there is no alert %s', coalesce(alert_id::text, 'without an id')),
      hint = 'The ids of the alerts that fire are in analytics.active_alerts.';
  elsif resolved.status = 'resolved' then
    return resolved;
  elsif resolved.status = 'pending' then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('alert %s is pending', alert_id),
      hint = 'Only an alert that fires can be resolved; a pending one goes by itself when it is clean.';
  end if;

  update analytics.alerts
  set
    status = 'resolved',
    reason = 'resolved_by_hand',
    changed_at = clock_timestamp(),
    resolved_at = clock_timestamp(),
    resolved_by = coalesce(
      nullif(current_setting('jwt.claims.sub', true), ''),
      nullif(current_setting('role'), 'none'),
      session_user
    ),
    comment = coalesce(resolve_alert.comment, alerts.comment)
  where id = alert_id
  returning * into resolved;
  return resolved;
end;
$$;

comment on function analytics.resolve_alert(bigint, text) is
  'Ends an alert that fires, by hand: its resolved message is sent if its triggered one was. If the rule still breaches, the next '
  'evaluation begins a new alert; without data it does not. Doing it again changes nothing. An alert that is not there or is '
  'pending is an error (SQLSTATE 22023).
- alert_id: Number of the alert.
- comment: What to say about it; it stands in the alert and in its history.
- returns: The alert, resolved.';

revoke all on function analytics.resolve_alert(bigint, text) from public;
--! EndIncluded functions/analytics/resolve_alert.sql
--! Included functions/analytics/alert_stats.sql
-- One row a severity, also when there was nothing, so that a dashboard has no gaps.
create or replace function analytics.alert_stats(period interval default '24 hours')
returns setof analytics.alert_statistics
language sql
stable
parallel unsafe
begin atomic
  select
    severities.severity,
    count(alerts.id),
    count(alerts.id) filter (where alerts.status = 'pending'),
    count(alerts.id) filter (where alerts.status = 'active'),
    count(alerts.id) filter (where alerts.status = 'acknowledged'),
    count(alerts.id) filter (where alerts.status = 'resolved'),
    count(alerts.id) filter (where alerts.triggered_at >= now() - period),
    avg(alerts.acknowledged_at - alerts.triggered_at),
    avg(alerts.resolved_at - alerts.triggered_at)
  from unnest(enum_range(null::analytics.alert_severity)) as severities (severity)
  left join analytics.alerts
    on alerts.severity = severities.severity
    and (alerts.status <> 'resolved' or alerts.resolved_at >= now() - period)
  group by severities.severity
  order by severities.severity desc;
end;

comment on function analytics.alert_stats(interval) is
  'How many alerts there are, and how fast they are dealt with, one row for each severity, the most urgent first. Alerts that are '
  'open count, and those that were resolved within the period.
- period: How far back from now; by default 24 hours.';
--! EndIncluded functions/analytics/alert_stats.sql
--! Included functions/internal/is_count.sql
-- Which built-in metrics count: they are 0 for a silent service, and true for any number of requests.
create or replace function internal.is_count(metric text)
returns boolean
language sql
immutable
parallel safe
return metric in ('error_count', 'total_requests', 'throughput', 'high_risk_count', 'unique_users');

comment on function internal.is_count(text) is
  'Whether a built-in metric is a count, which silence makes 0 and not unknown, and to which min_requests does not apply.';
--! EndIncluded functions/internal/is_count.sql
--! Included functions/internal/series_level.sql
-- Which roll-up answers for windows in the past: the finest one that is kept for all of them, then the coarsest of which no window
-- cuts a bucket. Buckets of 10 s that are cut come from the raw events as long as those are kept.
-- Definer: what there is of roll-ups is not for clients.
create or replace function internal.series_level(moments timestamptz[], lookback interval)
returns table (
  relation regclass,
  width interval,
  exact_since timestamptz
)
language sql
stable
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
begin atomic
  with edges as materialized (
    select unnest(moments) as edge
    union
    select unnest(moments) - lookback
  ),
  levels as (
    select
      rollups.relation,
      rollups.width,
      rollups.name = '1hour' or now() - retention.keep <= (select min(edge) from edges) as is_kept,
      exists (
        select from edges where date_bin(rollups.width, edge, timestamptz '2000-01-01 00:00:00+00') <> edge
      ) as is_cut
    from internal.rollups
    join analytics.retention on retention.tier::text = rollups.name
  )
  select
    levels.relation,
    levels.width,
    case
      when not levels.is_cut then '-infinity'
      when levels.width = interval '10 s' then (
        select date_bin(levels.width, now() - raw.keep + levels.width, timestamptz '2000-01-01 00:00:00+00')
        from analytics.retention as raw
        where raw.tier = 'raw'
      )
      else 'infinity'
    end
  from levels
  where levels.is_kept
  order by levels.is_cut, case when levels.is_cut then levels.width else -levels.width end
  limit 1;
end;

comment on function internal.series_level(timestamptz[], interval) is
  'The roll-up to read for windows of the lookback before each of the moments. Windows that begin at exact_since or later are exact; '
  'earlier ones are widened to whole buckets.';

revoke all on function internal.series_level(timestamptz[], interval) from public;
--! EndIncluded functions/internal/series_level.sql
--! Included functions/internal/metric_series.sql
-- A built-in metric at many moments in one pass: the moments cut time into segments, each bucket goes to its segment by binary
-- search, and a window is the sum of the segments it covers. internal.builtin_metric_samples once a moment would take 50 times
-- as long; a test holds the two to agree.
-- What costs is the percentiles, a histogram of 402 bins a service and bucket. To know on which side of a threshold they are, two
-- sums of each histogram are enough: the requests in bins below that of the threshold, and those in it. And of a histogram only
-- the bins between those of the smallest and the largest latency are looked at.
-- Buckets of 10 s that are cut by a window come from the raw events; where those are gone, windows are widened to whole buckets,
-- as in internal.window_rows.
-- enable_nestloop off: nobody can estimate the arrays, and a nested loop over windows takes minutes.
-- Definer: sums may be read by those who may not read events.
create or replace function internal.metric_series(
  metric text,
  lookback interval,
  moments timestamptz[],
  services text[] default null,
  compared_with double precision default null
)
returns table (
  as_of timestamptz,
  service text,
  value double precision,
  requests bigint,
  share_above double precision
)
language plpgsql
stable
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
set jit = off
as $$
declare
  origin constant timestamptz := '2000-01-01 00:00:00+00';
  level constant record := internal.series_level(moments, metric_series.lookback);
  quantile constant double precision :=
    case metric when 'latency_p50' then 0.5 when 'latency_p95' then 0.95 when 'latency_p99' then 0.99 end;
  threshold_bin constant integer := case when compared_with is not null then internal.latency_histogram_bin(compared_with) end;
  starts constant timestamptz[] := array(
    select case
      when moment - lookback >= level.exact_since then moment - lookback
      else date_bin(level.width, moment - lookback, origin)
    end
    from unnest(moments) as moment
  );
  ends constant timestamptz[] := array(
    select case
      when moment >= level.exact_since then moment
      else date_bin(level.width, moment + level.width - interval '1 microsecond', origin)
    end
    from unnest(moments) as moment
  );
  bounds constant timestamptz[] := array(select unnest(starts) as bound union select unnest(ends) order by bound);
  cut_buckets constant timestamptz[] := array(
    select distinct date_bin(level.width, bound, origin)
    from unnest(bounds) as bound
    where date_bin(level.width, bound, origin) <> bound
  );
  -- what is summed of a row
  columns constant text := case
    when quantile is not null and threshold_bin is null then
      'total_requests, latency_count, latency_min, latency_max,
       internal.latency_histogram_bin(latency_min) as first_bin,
       latency_histogram[internal.latency_histogram_bin(latency_min):internal.latency_histogram_bin(latency_max)] as histogram'
    when quantile is not null then
      'total_requests, latency_count, latency_min, latency_max, latency_histogram[$11] as in_bin,
       case
         when internal.latency_histogram_bin(latency_max) < $11 then latency_count
         when internal.latency_histogram_bin(latency_min) < $11 then (
           select sum(count)
           from unnest(latency_histogram[internal.latency_histogram_bin(latency_min):$11 - 1]) as count
         )
         else 0
       end as below_bin'
    when metric = 'unique_users' then 'users'
    else
      'total_requests, failed_requests, latency_count, latency_sum, latency_max, risk_count, risk_sum, high_risk_count'
  end;
  answer constant text := case
    when quantile is not null and threshold_bin is null then
      ', sums as materialized (
         select
           row_number() over () as place, -- to group and sort by, which is slow by text
           as_of, service,
           sum(total_requests)::bigint as requests,
           sum(latency_count) as latency_count,
           min(latency_min) as latency_min,
           max(latency_max) as latency_max
         from covered
         group by as_of, service
       ),
       bins as (
         select
           place,
           first_bin + ordinality - 1 as bin,
           sum(sum(count)) over (partition by place order by first_bin + ordinality) as up_to
         from sums
         join covered using (as_of, service)
         cross join unnest(covered.histogram) with ordinality as counts (count, ordinality)
         where count > 0
         group by place, first_bin + ordinality
       ),
       percentile_bins as (
         select sums.place, min(bin) filter (where up_to >= $9 * latency_count) as bin
         from bins
         join sums on sums.place = bins.place
         group by sums.place
       )
       select as_of, service, internal.histogram_bin_middle(bin, latency_min, latency_max), requests, null::double precision
       from sums
       left join percentile_bins using (place)'
    when quantile is not null then
      ', sums as (
         select
           as_of, service,
           sum(total_requests)::bigint as requests,
           nullif(sum(latency_count), 0)::double precision as latency_count,
           min(latency_min) as latency_min,
           max(latency_max) as latency_max,
           sum(in_bin) as in_bin,
           sum(below_bin) as below_bin
         from covered
         group by as_of, service
       )
       select
         as_of, service,
         internal.histogram_bin_middle(
           case
             when below_bin >= $9 * latency_count then $11 - 1
             when below_bin + in_bin >= $9 * latency_count then $11
             when latency_count > 0 then $11 + 1
           end,
           latency_min, latency_max
         ),
         requests,
         1 - (below_bin + in_bin) / latency_count
       from sums'
    else format(
      'select as_of, service, (%s)::double precision, %s, null::double precision from covered group by as_of, service',
      case metric
        when 'error_rate' then 'internal.error_rate(sum(failed_requests)::bigint, sum(total_requests)::bigint)'
        when 'error_count' then 'sum(failed_requests)'
        when 'total_requests' then 'sum(total_requests)'
        when 'throughput' then 'sum(total_requests) / extract(epoch from $10)'
        when 'latency_mean' then 'sum(latency_sum) / nullif(sum(latency_count), 0)'
        when 'latency_max' then 'max(latency_max)'
        when 'avg_risk_score' then 'sum(risk_sum) / nullif(sum(risk_count), 0)'
        when 'high_risk_count' then 'sum(high_risk_count)'
        when 'unique_users' then 'coalesce(internal.sketch_estimate(bit_or(users)), 0)'
      end,
      case when internal.is_count(metric) then 'null::bigint' else 'sum(total_requests)::bigint' end
    )
  end;
begin
  return query execute format(
    'with spans as materialized (
       select as_of, only_service, generate_series(width_bucket(since, $3), width_bucket(until, $3) - 1) as segment
       from unnest($7, $8, $1, $2) as windows (as_of, only_service, since, until)
     ),
     pieces as (
       select since, until
       from (
         select edge as since, lead(edge) over (order by edge) as until
         from (
           select unnest($3) as edge
           union
           select unnest($4)
           union
           select unnest($4) + interval ''10 s''
         ) as edges
       ) as neighbours
       where date_bin(interval ''10 s'', since, timestamptz ''2000-01-01 00:00:00+00'') = any ($4)
     ),
     parts as materialized (
       select width_bucket(bucket, $3) as segment, service, %2$s
       from %1$s
       where bucket >= $5 and bucket < $6
         and bucket <> all ($4)
         and (service = any ($8)) is not false
       union all
       select width_bucket(since, $3), service, %2$s
       from pieces
       cross join lateral internal.event_rows(since, until)
       where (service = any ($8)) is not false
     ),
     covered as (
       select as_of, parts.*
       from spans
       join parts on parts.segment = spans.segment and coalesce(parts.service = only_service, true)
     )
     %3$s',
    level.relation, columns, answer
  )
  using
    starts, ends, bounds, cut_buckets,
    (select min(bound) from unnest(bounds) as bound), (select max(bound) from unnest(bounds) as bound),
    moments, services, quantile, metric_series.lookback, threshold_bin;
end;
$$;

comment on function internal.metric_series(text, interval, timestamptz[], text[], double precision) is
  'Value of a built-in metric over the lookback before each of the moments, for each service with events in it. services, if given, has '
  'as many elements: the one service that is wanted at each moment, or NULL for all. '
  'requests is NULL where min_requests does not apply. Exact where internal.series_level says so; with compared_with a percentile is '
  'exact only in how it compares with that, and share_above (0..1) is the part of the latencies in the bins above.';

revoke all on function internal.metric_series(text, interval, timestamptz[], text[], double precision) from public;
--! EndIncluded functions/internal/metric_series.sql
--! Included functions/internal/known_periods.sql
-- internal.known_services over a range: analytics.services knows the first and the last event only, so what lies between them
-- comes from the roll-ups. That matters for a service that was silent for more than a day and came back.
-- Definer: the roll-ups are not for clients.
create or replace function internal.known_periods(since timestamptz, until timestamptz)
returns table (
  service text,
  known_since timestamptz,
  known_until timestamptz
)
language plpgsql
stable
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  known_for constant interval := '1 day';
  relation constant regclass := (
    select rollups.relation
    from internal.rollups
    join analytics.retention on retention.tier::text = rollups.name
    where rollups.name in ('5min', '1hour')
    order by now() - retention.keep > since - known_for, rollups.width
    limit 1
  );
begin
  return query execute format(
    'with seen as (
       select service, bucket as at from %s where bucket > $1 - $3 and bucket <= $2
       union all
       select service, unnest(array[first_seen, last_seen]) from analytics.services
     ),
     starts as (
       select
         seen.service, at,
         (at - lag(at) over (partition by seen.service order by at) < $3) is not true as is_start
       from seen
       join analytics.services on services.service = seen.service
       where at between first_seen and last_seen -- a bucket begins before its first event
     ),
     periods as (
       select service, at, count(*) filter (where is_start) over (partition by service order by at) as period from starts
     )
     select service, min(at), max(at) + $3 from periods group by service, period',
    relation
  )
  using since, until, known_for;
end;
$$;

comment on function internal.known_periods(timestamptz, timestamptz) is
  'When services were known, as internal.known_services means it, around [since, until): [known_since, known_until). Exact, but to 5 '
  'minutes (1 hour where the 5 min level is gone) for one that came back after more than a day.';

revoke all on function internal.known_periods(timestamptz, timestamptz) from public;
--! EndIncluded functions/internal/known_periods.sql
--! Included functions/internal/alert_timeline.sql
-- The engine over a past range, for one rule that need not exist: values of the metric at each moment, and then, service by
-- service, internal.next_alert_state from one moment to the next. It begins without alerts.
-- The state machine takes a step only where its answer can change: at the first moment of each stretch of the same finding, and
-- where a clock runs out within it. A step costs 20 us, and 24 hours of 20 services have up to 172 800 moments.
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
  value double precision,
  worst_at timestamptz,
  worst_value double precision
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
  stretch record;
  place integer;
  finding analytics.alert_reason;
  measured double precision;
  clock_ends timestamptz;
  no_alert record;
  alert record;
begin
  select
    null::analytics.alert_status as new_status, null::analytics.alert_reason as new_reason, null::double precision as new_value,
    null::timestamptz as new_breaching_since, null::timestamptz as new_clean_since,
    null::timestamptz as new_frozen_at
  into no_alert;
  service := '';

  for stretch in
    with moments as materialized (
      select moment from unnest(alert_timeline.moments) as moment
    ),
    periods as materialized (
      select known.service, known.known_since, known.known_until
      from internal.known_periods(
        (select min(moment) from moments) - alert_timeline.lookback, (select max(moment) from moments)
      ) as known
      where only_service is null
    ),
    samples as materialized (
      select series.as_of as moment, series.service, series.value, series.requests, series.share_above
      from internal.metric_series(
        alert_timeline.metric, alert_timeline.lookback, alert_timeline.moments,
        array_fill(only_service, array[cardinality(alert_timeline.moments)]), alert_timeline.threshold
      ) as series
      where is_builtin
      union all
      select moment, custom.service, custom.value, null, null
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
    ),
    points as (
      select
        services.service,
        moment,
        samples.share_above,
        case
          when samples.requests < alert_timeline.min_requests then null
          when samples.service is null and is_builtin and internal.is_count(alert_timeline.metric)
            and (periods.service is not null or only_service is not null) then 0
          else samples.value
        end as value,
        periods.service is not null or only_service is not null as is_expected,
        only_service is not null
          or not internal.is_count(alert_timeline.metric)
          or periods.known_since <= moment - alert_timeline.lookback as is_whole,
        services.first_seen <= moment as was_known
      from services
      cross join moments
      left join samples using (service, moment)
      left join periods on periods.service = services.service and moment >= periods.known_since and moment < periods.known_until
    ),
    judged as (
      select
        service, moment, value,
        case
          when internal.breaches(value, alert_timeline.operator, alert_timeline.threshold)
            and (is_whole or alert_timeline.operator in ('>', '>=')) then 'breach'
          when value is not null then 'clean'
          when is_expected or alert_timeline.on_no_data = 'ok' then 'no_data'
          when was_known then 'service_gone'
          else 'unknown' -- no data, and gone when that has lasted
        end as finding,
        case
          when alert_timeline.operator in ('>', '>=') then coalesce(share_above, value)
          when alert_timeline.operator in ('<', '<=') then -coalesce(share_above, value)
        end as excess
      from points
    ),
    bounded as (
      select *, finding is distinct from lag(finding) over (partition by service order by moment) as begins from judged
    ),
    numbered as (
      select *, count(*) filter (where begins) over (partition by service order by moment) as number from bounded
    )
    select
      numbered.service,
      numbered.finding,
      array_agg(moment order by moment) as moments,
      array_agg(numbered.value order by moment) as values,
      (array_agg(moment order by excess desc, moment) filter (where numbered.finding = 'breach' and excess is not null))[1] as worst_at
    from numbered
    group by numbered.service, number, numbered.finding
    order by numbered.service, number
  loop
    if stretch.service <> service then
      alert := no_alert;
    end if;
    service := stretch.service;
    worst_at := stretch.worst_at;
    worst_value := stretch.values[width_bucket(worst_at, stretch.moments)];
    place := 1;

    while place <= cardinality(stretch.moments) loop
      exit when alert.new_status is null
        and stretch.finding <> 'breach'
        and not (stretch.finding = 'no_data' and alert_timeline.on_no_data = 'alert');

      as_of := stretch.moments[place];
      previous_status := alert.new_status;
      reason := alert.new_reason;
      measured := stretch.values[place];
      finding := case
        when stretch.finding <> 'unknown' then stretch.finding
        when alert.new_frozen_at <= as_of - forgotten_after then 'service_gone'
        else 'no_data'
      end;
      select next.*
      into alert
      from internal.next_alert_state(
        as_of, finding, measured,
        alert_timeline.pending_period, alert_timeline.keep_firing_for, alert_timeline.on_no_data,
        alert.new_status, alert.new_reason, alert.new_value, alert.new_breaching_since, alert.new_clean_since, alert.new_frozen_at
      ) as next;

      if (alert.new_status, alert.new_reason) is distinct from (previous_status, reason) then
        status := alert.new_status;
        reason := alert.new_reason;
        value := alert.new_value;
        return next;
        worst_at := null;
        worst_value := null;
      end if;
      if alert.new_status = 'resolved' then
        alert := no_alert;
        exit; -- only a breach begins the next one
      end if;

      clock_ends := case
        when alert.new_frozen_at is not null and stretch.finding = 'unknown' then alert.new_frozen_at + forgotten_after
        when alert.new_frozen_at is not null then 'infinity'
        when alert.new_clean_since is not null then
          alert.new_clean_since + extract(epoch from alert_timeline.keep_firing_for) * interval '1 s'
        when alert.new_status = 'pending' then
          alert.new_breaching_since + extract(epoch from alert_timeline.pending_period) * interval '1 s'
        else 'infinity'
      end;
      place := greatest(place, width_bucket(clock_ends - interval '1 microsecond', stretch.moments)) + 1;
    end loop;

    alert.new_value := case
      when stretch.finding in ('breach', 'clean') then stretch.values[cardinality(stretch.values)]
      else alert.new_value
    end;
  end loop;
end;
$$;

comment on function internal.alert_timeline(
  text, analytics.alert_operator, double precision, interval, interval, interval, integer, analytics.no_data_policy, text, timestamptz[]
) is
  'What would have happened to the alerts of a rule at each of the moments, in ascending order: one row a change of status or reason, as '
  'in alert_history. previous_status is NULL where an alert begins; where a breach begins, worst_at is the moment of it at which the '
  'metric is farthest beyond the threshold, for a percentile that with the largest share of requests beyond; NULL for == and !=. The '
  'value of a percentile is exact only in how it compares with the threshold.';
--! EndIncluded functions/internal/alert_timeline.sql
--! Included functions/analytics/preview_alert_rule.sql
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
--! EndIncluded functions/analytics/preview_alert_rule.sql
--! Included views/active_alerts.sql
-- What is open now, most urgent first. Pending ones are not alerts yet.
create or replace view analytics.active_alerts as
select
  id,
  rule_id,
  rule_name,
  service,
  severity,
  status,
  reason,
  metric,
  operator,
  threshold,
  value,
  internal.alert_text(rule_name, service, metric, operator, threshold, lookback, value) as message,
  labels,
  triggered_at,
  now() - triggered_at as firing_for,
  acknowledged_at,
  acknowledged_by,
  comment,
  notified_at is null as silenced,
  evaluated_at
from analytics.alerts
where status in ('active', 'acknowledged')
order by severity desc, triggered_at, rule_id, service;

comment on view analytics.active_alerts is 'Alerts that fire, acknowledged or not, most severe and oldest first.';
comment on column analytics.active_alerts.message is 'The alert in a sentence.';
comment on column analytics.active_alerts.firing_for is 'Time since it began to fire.';
comment on column analytics.active_alerts.silenced is 'Whether a silence holds back its message.';
comment on column analytics.active_alerts.severity is 'How urgent it is, by the rule when the alert began.';
comment on column analytics.active_alerts.status is 'State of the alert: active or acknowledged.';
comment on column analytics.active_alerts.threshold is 'Threshold of the rule when the alert began, in the unit of the metric.';
comment on column analytics.active_alerts.value is
  'Value of the metric, in its unit, at the evaluation; up to 10 s old while nothing changes. Null: no data.';
comment on column analytics.active_alerts.labels is 'Labels of the rule when the alert began, a JSON object.';
comment on column analytics.active_alerts.triggered_at is 'When it began to fire.';
comment on column analytics.active_alerts.acknowledged_at is 'When a person said that they look at it; null: nobody did.';
comment on column analytics.active_alerts.evaluated_at is 'Evaluation that the value is from.';
comment on column analytics.active_alerts.id is 'Number of the alert.';
comment on column analytics.active_alerts.rule_id is 'Id of the rule; it may be gone by now.';
comment on column analytics.active_alerts.rule_name is 'Name of the rule when the alert began.';
comment on column analytics.active_alerts.service is 'Name of the service.';
comment on column analytics.active_alerts.reason is 'Why it is in this state.';
comment on column analytics.active_alerts.metric is 'Metric of the rule when the alert began, such as error_rate.';
comment on column analytics.active_alerts.operator is 'How the metric is compared with the threshold to breach.';
comment on column analytics.active_alerts.acknowledged_by is
  'Who looks at it: the subject of the token, or the database role; null: nobody does.';
comment on column analytics.active_alerts.comment is
  'What was said last, when it was acknowledged or resolved by hand; its history has both. Null: nothing.';
--! EndIncluded views/active_alerts.sql

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

--! Included functions/analytics/stats.sql
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
--! EndIncluded functions/analytics/stats.sql
--! Included functions/analytics/archive.sql
-- The lifecycle of analytics.retention, at once instead of when the policies are due.
-- Definer: only the owner may drop chunks, and operators may have it done.
create or replace function analytics.archive()
returns setof analytics.archived_tier
language plpgsql
volatile
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  cleaned record;
  level record;
  result analytics.archived_tier;
begin
  select * into cleaned from internal.clean_up();

  for level in select * from analytics.retention order by keep, tier loop
    result := (level.tier, 0, 0, 0);

    if level.tier = 'alerts' then
      result.deleted_rows := cleaned.alerts;
    elsif level.tier = 'rejected_events' then
      result.deleted_rows := cleaned.rejected_events;
    else
      select coalesce(sum(dropped), 0)
      into result.dropped_chunks
      from internal.retention_relations as relations
      cross join lateral (
        select count(*) as dropped from public.drop_chunks(relations.relation, older_than => now() - level.keep)
      ) as chunks
      where relations.tier = level.tier;
    end if;

    if level.compress_after is not null then
      select count(public.compress_chunk(format('%I.%I', chunk_schema, chunk_name)::regclass))
      into result.compressed_chunks
      from timescaledb_information.chunks
      where hypertable_schema = 'analytics' and hypertable_name = 'events'
        and not is_compressed and range_end < now() - level.compress_after;
    end if;

    return next result;
  end loop;
end;
$$;

comment on function analytics.archive() is
  'Applies the retention at once: old raw events to the columnstore, then what is past its time away, tier by tier. The policies '
  'of the database and the worker do the same by themselves every 10 minutes.
- returns: What was done to each tier, the shortest kept first.';

revoke all on function analytics.archive() from public;
--! EndIncluded functions/analytics/archive.sql
--! Included functions/internal/ingest_status.sql
-- For /readyz. Ingesters look at the end of the log every few seconds, so silence means that none is there.
-- Definer: the server itself reads no table.
create or replace function internal.ingest_status(topic text)
returns table (
  ok boolean,
  detail text,
  lag bigint,
  checked_at timestamptz
)
language sql
stable
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
  with
    partitions as (
      select
        partition,
        greatest(log_end_offset - next_offset, 0) as lag,
        now() - updated_at as unmoved_for,
        checked_at
      from internal.ingest_offsets
      where ingest_offsets.topic = ingest_status.topic
    ),
    total as (
      select sum(lag)::bigint as lag, max(checked_at) as checked_at, now() - max(checked_at) as silent_for
      from partitions
    ),
    stuck as (
      select * from partitions where lag > 0 and unmoved_for > interval '60 s' order by unmoved_for desc limit 1
    ),
    problem as (
      select case
        when total.checked_at is null then 'no ingester has taken a partition of the topic yet'
        when total.silent_for > interval '30 s' then
          format('no ingester has reported for %s s', round(extract(epoch from total.silent_for)))
        when stuck.partition is not null then
          format(
            'partition %s has not moved for %s s, %s messages wait', stuck.partition,
            round(extract(epoch from stuck.unmoved_for)), stuck.lag
          )
        when total.lag > 1000000 then format('%s messages behind', total.lag)
      end as detail
      from total
      left join stuck on true
    )
  select problem.detail is null, problem.detail, total.lag, total.checked_at
  from total, problem;
$$;

comment on function internal.ingest_status(text) is
  'How the ingesters of a topic are doing. Not ok, with the reason as detail: none has reported for 30 s, a partition with waiting '
  'messages has not moved for 60 s, or more than a million messages wait. lag: messages that wait.';

revoke all on function internal.ingest_status(text) from public;
--! EndIncluded functions/internal/ingest_status.sql
--! Included functions/internal/prometheus.sql
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
--! EndIncluded functions/internal/prometheus.sql

--
-- Who may do what
--

--! Included roles/grants.sql
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
--! EndIncluded roles/grants.sql

--
-- Ad-hoc queries
--

--! Included roles/adhoc.sql
-- The login that adhocQuery runs as: member of nothing, and whatever the check of the syntax may miss, these bounds hold.
-- What is set here a session can set otherwise for itself, except temp_file_limit; so src/adhoc/execute.ts leaves a query no way to
-- set anything before it runs. Like every login of StackLens it has no password of its own:
-- alter role stacklens_adhoc password '...', and then ADHOC_DATABASE_URL.
do $$
declare
  setting record;
  present text[];
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'stacklens_adhoc') then
    begin
      execute 'create role stacklens_adhoc login noinherit connection limit 10';
    exception
      when duplicate_object or unique_violation then
        null; -- made by a migration of another database of this server just now
      when insufficient_privilege then
        raise exception using
          errcode = 'insufficient_privilege',
          message = format(
            'role stacklens_adhoc is missing and %s may not create roles: let an administrator run psql -f sql/roles/adhoc.sql, then migrate again',
            current_user
          );
    end;
  end if;

  select coalesce(setconfig, '{}')
  into present
  from pg_catalog.pg_roles
  left join pg_catalog.pg_db_role_setting on setrole = pg_roles.oid and setdatabase = 0
  where rolname = 'stacklens_adhoc';

  for setting in
    select name, value
    from (
      values
        ('search_path', 'analytics, public', 0),
        ('default_transaction_read_only', 'on', 0),
        ('statement_timeout', '5s', 0),
        ('lock_timeout', '1s', 0),
        ('idle_in_transaction_session_timeout', '5s', 0),
        ('idle_session_timeout', '1min', 0),
        ('transaction_timeout', '15s', 170000),
        ('client_connection_check_interval', '1s', 0), -- who has left is not worked for
        ('work_mem', '16MB', 0),
        ('hash_mem_multiplier', '1', 0),
        ('temp_file_limit', '256MB', 0),
        ('max_parallel_workers_per_gather', '0', 0),
        ('jit', 'off', 0),
        ('standard_conforming_strings', 'on', 0), -- as the parser of src/adhoc reads strings
        ('TimeZone', 'UTC', 0)
    ) as settings (name, value, since)
    where current_setting('server_version_num')::integer >= since
      and name || '=' || value <> all (present)
  loop
    begin
      execute format('alter role stacklens_adhoc set %s = %s', setting.name,
        case setting.name when 'search_path' then setting.value else quote_literal(setting.value) end);
    exception
      when insufficient_privilege or object_not_in_prerequisite_state or feature_not_supported then
        raise notice 'stacklens_adhoc goes without %: %', setting.name, sqlerrm;
    end;
  end loop;
end;
$$;

grant usage on schema analytics to stacklens_adhoc;

grant select on
  analytics.active_alerts,
  analytics.alert_history,
  analytics.alert_rules,
  analytics.alerts,
  analytics.endpoint_metrics_5min,
  analytics.events,
  analytics.high_risk_events,
  analytics.metrics_1hour,
  analytics.metrics_1min,
  analytics.metrics_5min,
  analytics.performance_trend,
  analytics.rejected_events,
  analytics.retention,
  analytics.service_health,
  analytics.services,
  analytics.silences,
  analytics.slowest_services,
  analytics.top_error_services
to stacklens_adhoc;

grant execute on function
  analytics.alert_stats,
  analytics.metrics,
  analytics.service_summary,
  analytics.sla
to stacklens_adhoc;

-- What those views and functions call with the rights of the reader: it computes, or is a definer function. There is no usage of
-- the schema, so that no query calls it itself.
do $$
declare
  routine regprocedure;
begin
  for routine in
    select oid
    from pg_catalog.pg_proc
    where pronamespace = 'internal'::regnamespace
      and (provolatile = 'i' or proname in ('alert_text', 'window_metrics'))
  loop
    execute format('grant execute on routine %s to stacklens_adhoc', routine);
  end loop;
end;
$$;
--! EndIncluded roles/adhoc.sql
