-- The schema as the migrations leave it, without bodies, which are in sql/.
-- Written by `npm run check -- --write`; not for running.

-- The metrics that alert rules can name. Add one by creating a function here: <name>(lookback interval, as_of timestamptz) returns table (service text, value double precision). Without as_of it cannot be previewed over the past.
create schema alert_metrics

-- StackLens: events, metrics and alerts of services.
create schema analytics

-- What analytics is made of; nothing here is for clients.
create schema internal

-- How urgent an alert is.
create type analytics.alert_severity as enum ('info', 'warning', 'critical')

-- pending: breaching, but not for long enough; active: firing; acknowledged: firing, and somebody looks at it; resolved: over.
create type analytics.alert_status as enum ('pending', 'active', 'acknowledged', 'resolved')

-- Severity of an event; error and critical count as failed.
create type analytics.event_level as enum ('debug', 'info', 'warning', 'error', 'critical')

-- Health of a service over the last minute: critical when error_rate > 20 %, warning when error_rate > 5 % or latency_p99 > 500 ms.
create type analytics.health as enum ('healthy', 'warning', 'critical')

-- What an alert does when its metric has no value: keep its state, take it as clean, or take it as breaching.
create type analytics.no_data_policy as enum ('keep', 'ok', 'alert')

-- Width of the buckets that metrics are given in.
create type analytics.resolution as enum ('one_minute', 'five_minutes', 'one_hour')

-- Every change of status or reason of every alert; it outlives rules and pending alerts.
create table analytics.alert_history (
  id bigint not null generated always as identity
  alert_id bigint not null -- The alert; gone for a pending one that never fired.
  rule_id text not null
  rule_version integer not null -- Of the rule when the alert began.
  service text not null
  previous_status analytics.alert_status -- NULL for the first of an alert.
  status analytics.alert_status not null -- The same as before where only the reason changed.
  reason text not null -- As in alerts.
  value double precision -- Of the metric at as_of, in its unit; NULL: no data.
  as_of timestamp with time zone not null -- The evaluation, or the moment somebody acknowledged, resolved or changed the rule.
  watermark timestamp with time zone -- When the newest batch that the evaluation could see had been stored.
  author text -- Who acknowledged or resolved.
  comment text
  constraint alert_history_pkey PRIMARY KEY (id)
)
CREATE INDEX alert_history_alert_id_idx ON analytics.alert_history USING btree (alert_id)
CREATE INDEX alert_history_as_of_idx ON analytics.alert_history USING btree (as_of)
CREATE INDEX alert_history_rule_id_service_as_of_idx ON analytics.alert_history USING btree (rule_id, service, as_of DESC)
CREATE TRIGGER notify_alert_changes AFTER INSERT ON analytics.alert_history REFERENCING NEW TABLE AS new_history FOR EACH STATEMENT EXECUTE FUNCTION internal.notify_alert_changes()
CREATE TRIGGER send_alert_messages AFTER INSERT ON analytics.alert_history REFERENCING NEW TABLE AS new_history FOR EACH STATEMENT EXECUTE FUNCTION internal.send_alert_messages()
-- stacklens_adhoc: select
-- stacklens_viewer: select
-- stacklens_worker: delete, insert, select, update

-- What is watched. A change takes effect at the next evaluation, within a second, and resets the open alerts of the rule.
create table analytics.alert_rules (
  id text not null -- Slug: lower-case letters and digits, words joined by _ or -; at most 100 characters.
  name text not null -- For people.
  description text not null default ''::text -- What it means when this fires, and what to do.
  service text not null default '*'::text -- * for every service, each with an alert of its own; or the name of one.
  metric text not null -- error_rate (percent), error_count, total_requests, throughput (per second), latency_p50, latency_p95, latency_p99, latency_mean, latency_max (ms), avg_risk_score, high_risk_count, unique_users, or a function in schema alert_metrics.
  operator text not null -- One of >, >=, <, <=, ==, !=: the rule breaches when metric operator threshold.
  threshold double precision not null -- In the unit of the metric.
  lookback interval not null -- The metric covers this much time before the evaluation; at most the raw retention.
  pending_period interval not null default '00:00:00'::interval -- It must breach for this long without a break before it fires; for in Prometheus.
  keep_firing_for interval not null default '00:00:00'::interval -- It must be clean for this long before it is resolved.
  min_requests integer not null default 0 -- With fewer requests in the lookback, rates, percentiles and averages are no data; counts are not affected.
  on_no_data analytics.no_data_policy not null default 'keep'::analytics.no_data_policy -- Without data: keep the state and stop its clocks, ok (clean), or alert (breaching).
  severity analytics.alert_severity not null -- Goes with the alert and its messages; silences can name it.
  labels jsonb not null default '{}'::jsonb -- Object of anything; it goes with the alert.
  enabled boolean not null default true
  version integer not null default 1 -- Counts the changes, from 1.
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  last_error text -- Why its metric cannot be evaluated; NULL when it can. Its alerts are frozen.
  failing_since timestamp with time zone -- Evaluation at which last_error began.
  constraint alert_rules_pkey PRIMARY KEY (id)
  constraint id_is_a_slug CHECK (((id ~ '^[a-z0-9]+([_-][a-z0-9]+)*$'::text) AND (length(id) <= 100)))
  constraint keep_firing_for_is_not_negative CHECK ((keep_firing_for >= '00:00:00'::interval))
  constraint labels_are_an_object CHECK ((jsonb_typeof(labels) = 'object'::text))
  constraint lookback_is_at_least_1_second CHECK ((lookback >= '00:00:01'::interval))
  constraint min_requests_is_not_negative CHECK ((min_requests >= 0))
  constraint name_has_1_to_255_characters CHECK (((length(name) >= 1) AND (length(name) <= 255)))
  constraint operator_is_one_of_the_six CHECK ((operator = ANY (ARRAY['>'::text, '>='::text, '<'::text, '<='::text, '=='::text, '!='::text])))
  constraint pending_period_is_not_negative CHECK ((pending_period >= '00:00:00'::interval))
  constraint service_has_1_to_255_characters CHECK (((length(service) >= 1) AND (length(service) <= 255)))
  constraint threshold_is_finite CHECK ((threshold <> ALL (ARRAY['Infinity'::double precision, '-Infinity'::double precision, 'NaN'::double precision])))
)
CREATE INDEX alert_rules_metric_lookback_idx ON analytics.alert_rules USING btree (metric, lookback) WHERE enabled
CREATE TRIGGER check_alert_rule BEFORE INSERT OR UPDATE ON analytics.alert_rules FOR EACH ROW EXECUTE FUNCTION internal.check_alert_rule()
CREATE TRIGGER reset_alerts_of_changed_rules AFTER UPDATE ON analytics.alert_rules REFERENCING OLD TABLE AS old_rules NEW TABLE AS new_rules FOR EACH STATEMENT EXECUTE FUNCTION internal.reset_alerts()
CREATE TRIGGER reset_alerts_of_deleted_rules AFTER DELETE ON analytics.alert_rules REFERENCING OLD TABLE AS old_rules FOR EACH STATEMENT EXECUTE FUNCTION internal.reset_alerts()
-- stacklens_adhoc: select
-- stacklens_operator: delete, select
-- stacklens_worker: select, update

-- One episode of a rule on a service, from the first breach until it is resolved, with the rule as it was then. A pending one that never fires is dropped; alert_history keeps it.
create table analytics.alerts (
  id bigint not null generated always as identity
  rule_id text not null
  rule_name text not null
  rule_version integer not null -- Of the rule when the alert began; so are name, severity, labels, metric and the rest.
  service text not null
  severity analytics.alert_severity not null -- Of the rule.
  labels jsonb not null -- Of the rule.
  metric text not null
  operator text not null
  threshold double precision not null -- Of the rule, in the unit of the metric.
  lookback interval not null -- Of the rule: the metric covers this much time.
  status analytics.alert_status not null -- pending, active, acknowledged (by a person, still firing), resolved.
  reason text not null -- Why it is in this state: breach, keep_firing (clean, but not for long enough), no_data, evaluation_failed (both frozen unless the rule says otherwise), silence_ended, acknowledged, clean, service_gone, resolved_by_hand, rule_changed, rule_disabled, rule_deleted.
  value double precision -- Of the metric at evaluated_at; up to 10 s old while nothing changes. NULL: no data.
  started_at timestamp with time zone not null -- Evaluation at which it began to breach.
  triggered_at timestamp with time zone -- When it became active; NULL while it is pending.
  acknowledged_at timestamp with time zone -- When a person said that they look at it; NULL: nobody did.
  acknowledged_by text
  comment text -- What was said last, when it was acknowledged or resolved by hand; alert_history has both.
  resolved_at timestamp with time zone -- When it ended; NULL while it is open.
  resolved_by text -- Who resolved it by hand; NULL: it ended by itself.
  notified_at timestamp with time zone -- When its triggered message was sent; NULL while it is pending or silenced.
  evaluated_at timestamp with time zone not null -- Evaluation that value is from.
  changed_at timestamp with time zone not null -- When status or reason changed last.
  watermark timestamp with time zone -- When the newest batch that the evaluation could see had been stored.
  breaching_since timestamp with time zone not null -- Where the clock of pending_period started: started_at, plus the time without data.
  clean_since timestamp with time zone -- Where the clock of keep_firing_for started: the first clean evaluation.
  frozen_at timestamp with time zone -- First evaluation without data; until there is data again both clocks stand still.
  constraint alerts_pkey PRIMARY KEY (id)
)
CREATE INDEX alerts_id_idx ON analytics.alerts USING btree (id) WHERE ((status = 'resolved'::analytics.alert_status) AND (triggered_at IS NULL))
CREATE INDEX alerts_resolved_at_idx ON analytics.alerts USING btree (resolved_at) WHERE (status = 'resolved'::analytics.alert_status)
CREATE INDEX alerts_triggered_at_idx ON analytics.alerts USING btree (triggered_at DESC)
CREATE UNIQUE INDEX alerts_open_key ON analytics.alerts USING btree (rule_id, service) WHERE (status <> 'resolved'::analytics.alert_status)
CREATE TRIGGER record_changed_alerts AFTER UPDATE ON analytics.alerts REFERENCING OLD TABLE AS old_alerts NEW TABLE AS new_alerts FOR EACH STATEMENT EXECUTE FUNCTION internal.record_alert_history()
CREATE TRIGGER record_new_alerts AFTER INSERT ON analytics.alerts REFERENCING NEW TABLE AS new_alerts FOR EACH STATEMENT EXECUTE FUNCTION internal.record_alert_history()
-- stacklens_adhoc: select
-- stacklens_viewer: select
-- stacklens_worker: delete, insert, select, update

-- Request and log events as the services sent them, one row each.
create table analytics.events (
  "time" timestamp with time zone not null -- When it happened, by the clock of the service.
  ingested_at timestamp with time zone not null default now() -- When the transaction that stored it began.
  service text not null
  endpoint text -- Route or operation.
  level analytics.event_level not null -- error and critical count as failed.
  status_code smallint -- HTTP status, 100..599.
  latency_ms double precision -- Duration in milliseconds, >= 0; NULL for what has none.
  error_message text -- At most 8 KiB.
  error_count integer not null default 0 -- Errors that the service counted within this event.
  request_id text
  user_id text
  source_ip inet
  geo_country text
  user_subscription_tier text
  business_risk_score double precision -- 0..1; above 0.7 is high risk.
  trace_id text
  span_id text
  attributes jsonb -- Every field of the event that has no column; NULL when there is none.
)
CREATE INDEX events_time_idx ON analytics.events USING btree ("time")
-- hypertable: chunks of 01:00:00 by time
-- columnstore: segment by service, order by "time" DESC
-- policy: policy_compression every 00:10:00 {"compress_after": "02:00:00"}
-- policy: policy_retention every 00:10:00 {"drop_after": "1 day"}
-- stacklens_adhoc: select
-- stacklens_ingest: insert
-- stacklens_operator: select
-- stacklens_worker: select

-- Messages that are not events by the contract, with what is wrong about them.
create table analytics.rejected_events (
  id bigint not null generated always as identity
  received_at timestamp with time zone not null default now()
  topic text not null
  partition integer not null
  "offset" bigint not null
  reason text not null -- Code of the broken rule, such as invalid_json, missing_field, invalid_field, too_late, too_early.
  detail text not null -- The broken rule in words, with the field and its value.
  payload text -- The message as text, cut at 8 KiB; bytes that are not UTF-8 as replacement characters, NUL as U+2400. NULL for a message without a value.
  constraint rejected_events_topic_partition_offset_key UNIQUE (topic, partition, "offset")
  constraint rejected_events_pkey PRIMARY KEY (id)
)
CREATE INDEX rejected_events_received_at_idx ON analytics.rejected_events USING btree (received_at)
-- stacklens_adhoc: select
-- stacklens_ingest: insert, select, update
-- stacklens_operator: select
-- stacklens_worker: delete, select

-- How long each tier is kept. Editing a row changes the policies; a ladder that would roll up dropped data is refused.
create table analytics.retention (
  tier text not null -- raw events, the four roll-up levels, resolved alerts, rejected events.
  keep interval not null -- Age at which rows are dropped; for raw also the oldest event that is accepted.
  compress_after interval -- Age at which raw events move to the columnstore; NULL: never, as for the other tiers.
  updated_at timestamp with time zone not null default now()
  constraint retention_pkey PRIMARY KEY (tier)
  constraint retention_check CHECK (((compress_after IS NULL) OR ((compress_after > '00:00:00'::interval) AND (tier = 'raw'::text))))
  constraint retention_keep_check CHECK ((keep > '00:00:00'::interval))
  constraint retention_tier_check CHECK ((tier = ANY (ARRAY['raw'::text, '10s'::text, '1min'::text, '5min'::text, '1hour'::text, 'alerts'::text, 'rejected_events'::text])))
)
CREATE TRIGGER apply_retention AFTER INSERT OR DELETE OR UPDATE ON analytics.retention FOR EACH STATEMENT EXECUTE FUNCTION internal.apply_retention()
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON analytics.retention FOR EACH ROW EXECUTE FUNCTION internal.touch_updated_at()
-- stacklens_adhoc: select
-- stacklens_ingest: select
-- stacklens_viewer: select
-- stacklens_worker: select

-- Every service that has sent an event within the longest retention.
create table analytics.services (
  service text not null
  first_seen timestamp with time zone not null -- Time of the first event received.
  last_seen timestamp with time zone not null -- Time of the newest event received, kept to within 10 s.
  constraint services_pkey PRIMARY KEY (service)
)
-- stacklens_adhoc: select
-- stacklens_ingest: insert, select, update
-- stacklens_viewer: select
-- stacklens_worker: delete, select

-- Mutes alerts that fire within a time: they are seen, but send no message. One that still fires at the end sends it then; one whose triggered message was sent sends its resolved one even when silenced.
create table analytics.silences (
  id bigint not null generated always as identity
  rule_id text -- NULL: every rule. A silence goes with the rule that it names.
  service text -- NULL: every service.
  severity analytics.alert_severity -- NULL: every severity.
  starts_at timestamp with time zone not null default now() -- Alerts that fire from here on are muted.
  ends_at timestamp with time zone not null -- What still fires then is announced.
  reason text not null -- For those who wonder why nothing came.
  created_by text not null default COALESCE(NULLIF(current_setting('jwt.claims.sub'::text, true), ''::text), (CURRENT_USER)::text)
  created_at timestamp with time zone not null default now()
  constraint silences_pkey PRIMARY KEY (id)
  constraint silences_rule_id_fkey FOREIGN KEY (rule_id) REFERENCES analytics.alert_rules(id) ON UPDATE CASCADE ON DELETE CASCADE
  constraint reason_is_not_empty CHECK ((reason <> ''::text))
  constraint silence_ends_after_it_starts CHECK ((ends_at > starts_at))
)
CREATE INDEX silences_ends_at_idx ON analytics.silences USING btree (ends_at)
CREATE INDEX silences_rule_id_idx ON analytics.silences USING btree (rule_id)
-- stacklens_adhoc: select
-- stacklens_operator: delete
-- stacklens_viewer: select
-- stacklens_worker: delete, select

-- as_of of the last evaluation of the alert rules, one row.
create table internal.alert_evaluation (
  only_row boolean not null default true
  evaluated_at timestamp with time zone not null
  constraint alert_evaluation_pkey PRIMARY KEY (only_row)
  constraint alert_evaluation_only_row_check CHECK (only_row)
)
-- stacklens_worker: delete, insert, select, update

-- JSON that Kafka has not got yet. Task publish_alert sends in the order of id, then deletes.
create table internal.alert_messages (
  id bigint not null generated always as identity
  key text not null
  message text not null
  created_at timestamp with time zone not null default now()
  constraint alert_messages_pkey PRIMARY KEY (id)
)
-- stacklens_worker: delete, insert, select, update

-- Metrics of users that took too long, and until when they are left alone.
create table internal.alert_metric_rests (
  metric text not null
  lookback interval not null
  until timestamp with time zone not null
  constraint alert_metric_rests_pkey PRIMARY KEY (metric, lookback)
)
-- stacklens_worker: delete, insert, select, update

-- Who sends alert messages, one at a time so that their order holds. A lease, since a worker that crashes cannot let go.
create table internal.alert_publisher (
  only_row boolean not null default true
  holder uuid
  held_until timestamp with time zone not null default '-infinity'::timestamp with time zone
  constraint alert_publisher_pkey PRIMARY KEY (only_row)
  constraint alert_publisher_only_row_check CHECK (only_row)
)
-- stacklens_worker: delete, insert, select, update

-- The next Kafka offset to store of each partition. It moves in the transaction that stores the events, so that each is stored once.
create table internal.ingest_offsets (
  topic text not null
  partition integer not null
  next_offset bigint not null
  log_end_offset bigint -- Offset after the last message in Kafka when an ingester last looked; minus next_offset it is the lag in messages.
  updated_at timestamp with time zone not null default now() -- When next_offset last moved.
  checked_at timestamp with time zone not null default now() -- When an ingester last looked at the log of the partition: every 5 s while one runs.
  constraint ingest_offsets_pkey PRIMARY KEY (topic, partition)
)
-- stacklens_ingest: insert, select, update
-- stacklens_worker: select

-- Minutes that got events older than the roll-ups look back by themselves, waiting for their refresh. Rows are only inserted and deleted, never updated, so that ingesters do not wait for each other.
create table internal.late_minutes (
  id bigint not null generated always as identity
  minute timestamp with time zone not null
  constraint late_minutes_pkey PRIMARY KEY (id)
)
-- stacklens_ingest: insert
-- stacklens_worker: delete, select

-- The continuous aggregates in the order of their refresh, and how far each is materialized.
create table internal.rollups (
  name text not null
  relation regclass not null
  source regclass not null -- What it is made from: the events, or another roll-up.
  width interval not null -- Width of a bucket.
  lookback interval not null -- How far behind the newest closed bucket each refresh looks for changes by itself; older ones come through late_minutes.
  place integer not null
  refreshed_until timestamp with time zone -- End of the newest closed bucket that was materialized; NULL before the first refresh.
  constraint rollups_place_key UNIQUE (place)
  constraint rollups_pkey PRIMARY KEY (name)
)
-- stacklens_ingest: select
-- stacklens_worker: select, update

-- Alerts that fire, acknowledged or not, most severe and oldest first.
create view analytics.active_alerts (
  id bigint
  rule_id text
  rule_name text
  service text
  severity analytics.alert_severity -- Of the rule.
  status analytics.alert_status -- active, or acknowledged by a person.
  reason text
  metric text
  operator text
  threshold double precision -- Of the rule, in the unit of the metric.
  value double precision -- Of the metric at evaluated_at, up to 10 s old; NULL: no data.
  message text -- The alert in a sentence.
  labels jsonb -- Of the rule.
  triggered_at timestamp with time zone -- When it began to fire.
  firing_for interval -- Time since it was triggered.
  acknowledged_at timestamp with time zone -- When a person said that they look at it; NULL: nobody did.
  acknowledged_by text
  comment text
  silenced boolean -- A silence holds back its message.
  evaluated_at timestamp with time zone -- Evaluation that value is from.
)
-- stacklens_adhoc: select
-- stacklens_viewer: select
-- stacklens_worker: select

create type analytics.alert_preview (
  service text -- Name of the service.
  status analytics.alert_status -- At the end of the range; resolved without triggered_at: it would have been pending only.
  reason text -- Of the status, as in alerts.
  started_at timestamp with time zone -- Evaluation at which it would have begun to breach.
  triggered_at timestamp with time zone -- When it would have fired; NULL: it would not.
  resolved_at timestamp with time zone -- When it would have ended; NULL: it is open at the end of the range.
  value double precision -- Of the metric when it would have fired, or else at the start; NULL: no data.
  worst_value double precision -- The farthest that the metric went beyond the threshold until the end; NULL for == and !=.
)

create type analytics.archived_tier (
  tier text -- As in retention.
  compressed_chunks bigint -- Chunks that went to the columnstore.
  dropped_chunks bigint -- Chunks that were dropped.
  deleted_rows bigint -- Rows that were deleted: resolved alerts, their history, rejected events.
)

-- Metrics of each service and endpoint in buckets of 5 minutes, up to the last committed event.
create view analytics.endpoint_metrics_5min (
  bucket timestamp with time zone -- Start of the bucket.
  service text -- Name of the service.
  endpoint text -- Route or operation.
  total_requests bigint -- Events in the bucket.
  successful_requests bigint -- Events that did not fail.
  failed_requests bigint -- Events with level error or critical.
  error_rate double precision -- Failed requests in percent of all, 0..100.
  latency_min double precision -- Smallest latency in ms, exact.
  latency_p50 double precision -- Median latency in ms, within 2 %.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %.
  latency_max double precision -- Largest latency in ms, exact.
  latency_mean double precision -- Mean latency in ms.
  unique_users bigint -- Distinct users, standard error 1.5 %.
  unique_ips bigint -- Distinct source addresses, standard error 1.5 %.
  avg_risk_score double precision -- Mean business risk score, 0..1; NULL when no event had one.
  high_risk_count bigint -- Events with a business risk score above 0.7.
)
-- stacklens_adhoc: select
-- stacklens_viewer: select
-- stacklens_worker: select

-- Events with a business risk score above 0.7.
create view analytics.high_risk_events (
  "time" timestamp with time zone -- When it happened, by the clock of the service.
  service text -- Name of the service.
  endpoint text -- Route or operation.
  level analytics.event_level -- Severity of the event.
  status_code smallint -- HTTP status, 100..599.
  latency_ms double precision -- Duration in ms.
  business_risk_score double precision -- Above 0.7, to 1.
  user_id text -- Who made the request.
  source_ip inet -- Address that the request came from.
  geo_country text -- Country that the request came from.
  user_subscription_tier text -- Subscription of the user.
  request_id text -- Identifier of the request.
  trace_id text -- Identifier of the trace.
)
-- stacklens_adhoc: select
-- stacklens_operator: select
-- stacklens_worker: select

-- Metrics of each service in buckets of 1 hour, up to the last committed event.
create view analytics.metrics_1hour (
  bucket timestamp with time zone -- Start of the bucket.
  service text -- Name of the service.
  total_requests bigint -- Events in the bucket.
  successful_requests bigint -- Events that did not fail.
  failed_requests bigint -- Events with level error or critical.
  error_rate double precision -- Failed requests in percent of all, 0..100.
  latency_min double precision -- Smallest latency in ms, exact.
  latency_p50 double precision -- Median latency in ms, within 2 %.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %.
  latency_max double precision -- Largest latency in ms, exact.
  latency_mean double precision -- Mean latency in ms.
  unique_users bigint -- Distinct users, standard error 1.5 %.
  unique_ips bigint -- Distinct source addresses, standard error 1.5 %.
  avg_risk_score double precision -- Mean business risk score, 0..1; NULL when no event had one.
  high_risk_count bigint -- Events with a business risk score above 0.7.
)
-- stacklens_adhoc: select
-- stacklens_viewer: select
-- stacklens_worker: select

-- Metrics of each service in buckets of 1 minute, up to the last committed event.
create view analytics.metrics_1min (
  bucket timestamp with time zone -- Start of the bucket.
  service text -- Name of the service.
  total_requests bigint -- Events in the bucket.
  successful_requests bigint -- Events that did not fail.
  failed_requests bigint -- Events with level error or critical.
  error_rate double precision -- Failed requests in percent of all, 0..100.
  latency_min double precision -- Smallest latency in ms, exact.
  latency_p50 double precision -- Median latency in ms, within 2 %.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %.
  latency_max double precision -- Largest latency in ms, exact.
  latency_mean double precision -- Mean latency in ms.
  unique_users bigint -- Distinct users, standard error 1.5 %.
  unique_ips bigint -- Distinct source addresses, standard error 1.5 %.
  avg_risk_score double precision -- Mean business risk score, 0..1; NULL when no event had one.
  high_risk_count bigint -- Events with a business risk score above 0.7.
)
-- stacklens_adhoc: select
-- stacklens_viewer: select
-- stacklens_worker: select

-- Metrics of each service in buckets of 5 minutes, up to the last committed event.
create view analytics.metrics_5min (
  bucket timestamp with time zone -- Start of the bucket.
  service text -- Name of the service.
  total_requests bigint -- Events in the bucket.
  successful_requests bigint -- Events that did not fail.
  failed_requests bigint -- Events with level error or critical.
  error_rate double precision -- Failed requests in percent of all, 0..100.
  latency_min double precision -- Smallest latency in ms, exact.
  latency_p50 double precision -- Median latency in ms, within 2 %.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %.
  latency_max double precision -- Largest latency in ms, exact.
  latency_mean double precision -- Mean latency in ms.
  unique_users bigint -- Distinct users, standard error 1.5 %.
  unique_ips bigint -- Distinct source addresses, standard error 1.5 %.
  avg_risk_score double precision -- Mean business risk score, 0..1; NULL when no event had one.
  high_risk_count bigint -- Events with a business risk score above 0.7.
)
-- stacklens_adhoc: select
-- stacklens_viewer: select
-- stacklens_worker: select

-- Metrics of the last 24 hours in buckets of 5 minutes, with the change against the bucket before of the same service.
create view analytics.performance_trend (
  bucket timestamp with time zone -- Start of the bucket.
  service text -- Name of the service.
  total_requests bigint -- Events in the bucket.
  error_rate double precision -- Failed requests in percent of all, 0..100.
  latency_p50 double precision -- Median latency in ms, within 2 %.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %.
  latency_mean double precision -- Mean latency in ms.
  total_requests_change bigint -- Events more or less than in the bucket before.
  error_rate_change double precision -- Percentage points more or less than in the bucket before.
  latency_p95_change double precision -- Milliseconds more or less than in the bucket before.
)
-- stacklens_adhoc: select
-- stacklens_viewer: select
-- stacklens_worker: select

-- Health of every service seen in the last day, over the last minute.
create view analytics.service_health (
  service text -- Name of the service.
  health analytics.health -- critical: error_rate > 20 %; warning: error_rate > 5 % or latency_p99 > 500 ms; else healthy. NULL without events in the last minute.
  total_requests bigint -- Events in the last minute.
  failed_requests bigint -- Events with level error or critical in the last minute.
  error_rate double precision -- Failed requests in percent of all, 0..100; NULL without events.
  latency_p50 double precision -- Median latency in ms, within 2 %.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %.
  latency_mean double precision -- Mean latency in ms.
  unique_users bigint -- Distinct users in the last minute, standard error 1.5 %.
  high_risk_count bigint -- Events with a business risk score above 0.7 in the last minute.
  last_seen timestamp with time zone -- Time of the newest event, within 10 s.
)
-- stacklens_adhoc: select
-- stacklens_viewer: select
-- stacklens_worker: select

create type analytics.service_level (
  service text -- Name of the service.
  total_requests bigint -- Events in the period.
  failed_requests bigint -- Events with level error or critical.
  availability double precision -- 100 * (1 - failed / total), in percent, from sums over the period.
  objective double precision -- The availability aimed at, in percent.
  met boolean -- Whether availability is at least the objective.
  error_budget double precision -- Failed requests that the objective allows for the requests of the period.
  error_budget_remaining double precision -- What is left of the error budget, in requests; negative when overspent.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %.
)

-- Services of the last hour, slowest p95 latency first.
create view analytics.slowest_services (
  rank bigint -- Place, from 1; equal values share one.
  service text -- Name of the service.
  total_requests bigint -- Events in the last hour.
  failed_requests bigint -- Events with level error or critical in the last hour.
  error_rate double precision -- Failed requests in percent of all, 0..100.
  latency_p50 double precision -- Median latency in ms, within 2 %.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %.
  latency_mean double precision -- Mean latency in ms.
  latency_max double precision -- Largest latency in ms.
)
-- stacklens_adhoc: select
-- stacklens_viewer: select
-- stacklens_worker: select

create type analytics.statistics (
  events_stored bigint -- Events within the retention of the raw ones.
  events_last_minute bigint -- Events with a time in the last minute.
  events_per_second double precision -- Mean over the last minute.
  newest_event timestamp with time zone -- Time of the newest event, within 10 s.
  services bigint -- Services seen in the last day.
  ingest_lag bigint -- Messages in Kafka that are not stored yet; NULL before the first batch.
  stored_at timestamp with time zone -- When the newest batch was stored.
  rejected_last_hour bigint -- Messages rejected in the last hour.
  late_minutes bigint -- Minutes with late events that wait for their roll-up.
  rolled_up_until timestamp with time zone -- Up to where the finest roll-up is materialized; newer events are aggregated when read.
  rules_enabled bigint -- Alert rules that are evaluated.
  rules_failing bigint -- Of those, the ones whose metric cannot be evaluated.
  alerts_pending bigint -- Alerts that breach, but not for long enough.
  alerts_firing bigint -- Alerts that are active or acknowledged.
  evaluated_at timestamp with time zone -- When the alert rules were evaluated last.
  messages_waiting bigint -- Alert messages that Kafka has not got yet.
  events_bytes bigint -- Size of the raw events on disk, indexes included.
  database_bytes bigint -- Size of the database on disk.
)

-- Services of the last hour, most failed requests first.
create view analytics.top_error_services (
  rank bigint -- Place, from 1; equal values share one.
  service text -- Name of the service.
  total_requests bigint -- Events in the last hour.
  failed_requests bigint -- Events with level error or critical in the last hour.
  error_rate double precision -- Failed requests in percent of all, 0..100.
  latency_p50 double precision -- Median latency in ms, within 2 %.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %.
  latency_mean double precision -- Mean latency in ms.
  latency_max double precision -- Largest latency in ms.
)
-- stacklens_adhoc: select
-- stacklens_viewer: select
-- stacklens_worker: select

-- Roll-up of the events in buckets of 1 min, per service and endpoint: additive state.
create view internal.endpoint_metrics_1min_v1 (
  bucket timestamp with time zone
  service text
  endpoint text
  total_requests bigint
  failed_requests bigint
  latency_count bigint
  latency_sum double precision
  latency_min double precision
  latency_max double precision
  latency_histogram integer[]
  users "bit"
  ips "bit"
  risk_count bigint
  risk_sum double precision
  high_risk_count bigint
)
-- hypertable: chunks of 12:00:00 by bucket
-- continuous aggregate of analytics.events, real time
-- policy: policy_retention every 00:10:00 {"drop_after": "3 days"}

-- Roll-up of endpoint_metrics_1min_v1 in buckets of 5 min: additive state, and the percentiles and distinct counts read from it.
create view internal.endpoint_metrics_5min_v1 (
  bucket timestamp with time zone
  service text
  endpoint text
  total_requests bigint
  failed_requests bigint
  latency_count bigint
  latency_sum double precision
  latency_min double precision
  latency_max double precision
  latency_histogram integer[]
  latency_percentiles double precision[]
  users "bit"
  ips "bit"
  unique_users bigint
  unique_ips bigint
  risk_count bigint
  risk_sum double precision
  high_risk_count bigint
)
-- hypertable: chunks of 1 day by bucket
-- continuous aggregate of internal.endpoint_metrics_1min_v1, real time
-- policy: policy_retention every 00:10:00 {"drop_after": "7 days"}

create type internal.metric_sample (
  metric text
  lookback interval
  service text
  value double precision
  requests bigint
  known boolean
)

-- Roll-up of the events in buckets of 10 s, per service: additive state.
create view internal.metrics_10s_v1 (
  bucket timestamp with time zone
  service text
  total_requests bigint
  failed_requests bigint
  latency_count bigint
  latency_sum double precision
  latency_min double precision
  latency_max double precision
  latency_histogram integer[]
  users "bit"
  ips "bit"
  risk_count bigint
  risk_sum double precision
  high_risk_count bigint
)
-- hypertable: chunks of 06:00:00 by bucket
-- continuous aggregate of analytics.events, real time
-- policy: policy_retention every 00:10:00 {"drop_after": "2 days"}

-- Roll-up of metrics_5min_v1 in buckets of 1 h: additive state, and the percentiles and distinct counts read from it.
create view internal.metrics_1hour_v1 (
  bucket timestamp with time zone
  service text
  total_requests bigint
  failed_requests bigint
  latency_count bigint
  latency_sum double precision
  latency_min double precision
  latency_max double precision
  latency_histogram integer[]
  latency_percentiles double precision[]
  users "bit"
  ips "bit"
  unique_users bigint
  unique_ips bigint
  risk_count bigint
  risk_sum double precision
  high_risk_count bigint
)
-- hypertable: chunks of 7 days by bucket
-- continuous aggregate of internal.metrics_5min_v1, real time
-- policy: policy_retention every 00:10:00 {"drop_after": "30 days"}

-- Roll-up of metrics_10s_v1 in buckets of 1 min: additive state, and the percentiles and distinct counts read from it.
create view internal.metrics_1min_v1 (
  bucket timestamp with time zone
  service text
  total_requests bigint
  failed_requests bigint
  latency_count bigint
  latency_sum double precision
  latency_min double precision
  latency_max double precision
  latency_histogram integer[]
  latency_percentiles double precision[]
  users "bit"
  ips "bit"
  unique_users bigint
  unique_ips bigint
  risk_count bigint
  risk_sum double precision
  high_risk_count bigint
)
-- hypertable: chunks of 12:00:00 by bucket
-- continuous aggregate of internal.metrics_10s_v1, real time
-- policy: policy_retention every 00:10:00 {"drop_after": "3 days"}

-- Roll-up of metrics_1min_v1 in buckets of 5 min: additive state, and the percentiles and distinct counts read from it.
create view internal.metrics_5min_v1 (
  bucket timestamp with time zone
  service text
  total_requests bigint
  failed_requests bigint
  latency_count bigint
  latency_sum double precision
  latency_min double precision
  latency_max double precision
  latency_histogram integer[]
  latency_percentiles double precision[]
  users "bit"
  ips "bit"
  unique_users bigint
  unique_ips bigint
  risk_count bigint
  risk_sum double precision
  high_risk_count bigint
)
-- hypertable: chunks of 1 day by bucket
-- continuous aggregate of internal.metrics_1min_v1, real time
-- policy: policy_retention every 00:10:00 {"drop_after": "7 days"}

-- The hypertables and continuous aggregates of each tier.
create view internal.retention_relations (
  tier text
  relation regclass
)
-- stacklens_worker: select

-- Says that somebody looks at an active alert; it stays open until it is clean. Who it was is the subject of the token, or the database role. Doing it again changes nothing.
create function analytics.acknowledge_alert(alert_id bigint, comment text DEFAULT NULL::text) returns analytics.alerts language plpgsql volatile parallel unsafe security definer set search_path=pg_catalog, pg_temp
-- stacklens_operator: execute

-- Alerts by severity and present status: those that are open, and those that were resolved within the period. triggered counts those that began to fire within it; the mean times are from then to the acknowledgement and to the end.
create function analytics.alert_stats(period interval DEFAULT '24:00:00'::interval) returns TABLE(severity analytics.alert_severity, total bigint, pending bigint, active bigint, acknowledged bigint, resolved bigint, triggered bigint, mean_time_to_acknowledge interval, mean_time_to_resolve interval) language sql stable parallel unsafe
-- stacklens_adhoc: execute
-- stacklens_viewer: execute

-- Applies analytics.retention at once: old raw events to the columnstore, then what is past its time away, tier by tier. The policies of the database and the worker do the same by themselves every 10 minutes.
create function analytics.archive() returns SETOF analytics.archived_tier language plpgsql volatile parallel unsafe security definer set search_path=pg_catalog, pg_temp
-- stacklens_operator: execute

-- Brings all alerts to the state that the metrics of this moment ask for and returns the number of transitions. NULL when another one evaluates at the same time, or when as_of is not after the last evaluation, which never happens twice.
create function analytics.evaluate_alert_rules(as_of timestamp with time zone DEFAULT clock_timestamp()) returns integer language plpgsql volatile parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_worker: execute

-- Metrics in buckets of the given resolution that start in [since, until), of one service or (NULL) of all, by time.
create function analytics.metrics(resolution analytics.resolution, service text DEFAULT NULL::text, since timestamp with time zone DEFAULT (now() - '01:00:00'::interval), until timestamp with time zone DEFAULT now()) returns SETOF analytics.metrics_1min language plpgsql stable parallel safe set search_path=pg_catalog, pg_temp
-- stacklens_adhoc: execute
-- stacklens_viewer: execute

-- When a rule that need not be stored would have fired in the past, for each service, with the timing of the live evaluation: one row for each time it would have begun to breach, oldest first. The rule is given as in alert_rules. It is evaluated at each multiple of step in [since, until], beginning without alerts, as if all events had been there in time. At most 10 000 evaluations. A metric of schema alert_metrics needs a second argument as_of. Error 22023 or 23514 for a rule that makes no sense.
create function analytics.preview_alert_rule(metric text, operator text, threshold double precision, lookback interval, pending_period interval DEFAULT '00:00:00'::interval, keep_firing_for interval DEFAULT '00:00:00'::interval, min_requests integer DEFAULT 0, on_no_data analytics.no_data_policy DEFAULT 'keep'::analytics.no_data_policy, service text DEFAULT '*'::text, since timestamp with time zone DEFAULT (now() - '24:00:00'::interval), until timestamp with time zone DEFAULT now(), step interval DEFAULT '00:01:00'::interval) returns SETOF analytics.alert_preview language plpgsql stable parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_viewer: execute

-- Ends an alert that fires, by hand: its resolved message is sent if its triggered one was. If the rule still breaches, the next evaluation begins a new alert; without data it does not. Who it was is the subject of the token, or the database role. Doing it again changes nothing.
create function analytics.resolve_alert(alert_id bigint, comment text DEFAULT NULL::text) returns analytics.alerts language plpgsql volatile parallel unsafe security definer set search_path=pg_catalog, pg_temp
-- stacklens_operator: execute

-- One row for each service with events in [since, until): counts, rates (percent), throughput (events per second), latencies (ms), distinct users and addresses. Exact to the event while raw events are kept, to the finest kept bucket after that.
create function analytics.service_summary(since timestamp with time zone DEFAULT (now() - '24:00:00'::interval), until timestamp with time zone DEFAULT now()) returns TABLE(service text, total_requests bigint, successful_requests bigint, failed_requests bigint, error_rate double precision, throughput double precision, latency_min double precision, latency_p50 double precision, latency_p95 double precision, latency_p99 double precision, latency_max double precision, latency_mean double precision, unique_users bigint, unique_ips bigint, avg_risk_score double precision, high_risk_count bigint) language sql stable parallel unsafe
-- stacklens_adhoc: execute
-- stacklens_viewer: execute

-- Availability of one service or (NULL) of all over the last period, in percent: 100 * (1 - failed / total), from sums, beside the objective (percent). error_budget: failed requests that the objective allows in the period; error_budget_remaining: what is left of it, negative when overspent. Error 22023 for an objective outside 0..100 or a period that is not positive.
create function analytics.sla(service text DEFAULT NULL::text, period interval DEFAULT '24:00:00'::interval, objective double precision DEFAULT 99.9) returns SETOF analytics.service_level language plpgsql stable parallel unsafe security definer set search_path=pg_catalog, pg_temp
-- stacklens_adhoc: execute
-- stacklens_viewer: execute

-- The state of StackLens itself: what it stores, how far behind it is, what fires.
create function analytics.stats() returns analytics.statistics language sql stable parallel unsafe security definer set search_path=pg_catalog, pg_temp
-- stacklens_viewer: execute

-- The metrics that alert rules can name: built-in ones, and functions in schema alert_metrics; usable says that the function has the form <name>(lookback interval) returns table (service text, value double precision), takes_as_of that it has a second argument as_of timestamptz. A built-in name cannot be taken over.
create function internal.alert_metrics() returns TABLE(name text, builtin boolean, usable boolean, takes_as_of boolean) language sql stable parallel unsafe
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Describes an alert in a sentence: rule, service, and the value beside the threshold; a NULL value is no data.
create function internal.alert_text(rule_name text, service text, metric text, operator text, threshold double precision, lookback interval, value double precision) returns text language sql stable parallel safe
-- stacklens_adhoc: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- What the alerts of a rule would have been at each of the moments, in ascending order: one row a service and moment with an alert. previous_status is NULL where it begins; its last row is resolved. The value of a percentile is exact only in how it compares with the threshold.
create function internal.alert_timeline(metric text, operator text, threshold double precision, lookback interval, pending_period interval, keep_firing_for interval, min_requests integer, on_no_data analytics.no_data_policy, of_service text, moments timestamp with time zone[]) returns TABLE(service text, as_of timestamp with time zone, previous_status analytics.alert_status, status analytics.alert_status, reason text, value double precision) language plpgsql stable parallel unsafe set search_path=pg_catalog, pg_temp set jit=off
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Additive rows that together cover the lookback before as_of, for each lookback; as exact as internal.window_rows.
create function internal.alert_window_rows(as_of timestamp with time zone, lookbacks interval[]) returns TABLE(lookback interval, service text, total_requests bigint, failed_requests bigint, latency_count bigint, latency_sum double precision, latency_min double precision, latency_max double precision, latency_histogram integer[], risk_count bigint, risk_sum double precision, high_risk_count bigint) language plpgsql stable parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_worker: execute

-- Moves every alert to the state that the values of the metrics ask for at as_of; returns the number of transitions.
create function internal.apply_alert_samples(as_of timestamp with time zone, samples internal.metric_sample[]) returns integer language plpgsql volatile parallel unsafe set search_path=pg_catalog, pg_temp set enable_nestloop=off set jit=off
-- stacklens_worker: execute

-- Trigger: refuses a ladder in which a roll-up would be refreshed over dropped data (23514), then sets the policies.
create function internal.apply_retention() returns trigger language plpgsql volatile parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_worker: execute

-- Whether a value is on the alerting side of a threshold; NULL for no value.
create function internal.breaches(value double precision, operator text, threshold double precision) returns boolean language sql immutable parallel safe
-- stacklens_adhoc: execute
-- stacklens_ingest: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Rule, service and value of all that breaches at as_of; the value is NULL where missing data is a breach. Rules that are disabled, or whose metric fails, are left out.
create function internal.breaching_pairs(as_of timestamp with time zone, samples internal.metric_sample[]) returns TABLE(rule_id text, service text, value double precision) language sql stable parallel unsafe
-- stacklens_worker: execute

-- Value of every built-in metric that enabled rules use, over each of their lookbacks before as_of, for all known services and those that rules name. A silent service has counts of 0 and NULL for everything else.
create function internal.builtin_metric_samples(as_of timestamp with time zone) returns SETOF internal.metric_sample language sql stable parallel unsafe
-- stacklens_worker: execute

-- Values of a function of schema alert_metrics, one a service; as_of is its second argument if it has one, and the setting stacklens.as_of. Error 22000 for a row without a service or a second one for the same.
create function internal.call_alert_metric(metric text, lookback interval, as_of timestamp with time zone) returns SETOF internal.metric_sample language plpgsql volatile parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Refuses a lookback above the raw retention (23514); owner is whose it is.
create function internal.check_alert_lookback(lookback interval, owner text) returns void language plpgsql stable parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Refuses a metric that does not exist or has the wrong form (23514), and names the known ones; owner is who wants it.
create function internal.check_alert_metric(metric text, owner text) returns void language plpgsql stable parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Trigger: refuses a metric that does not exist and a lookback above the raw retention (23514); counts versions.
create function internal.check_alert_rule() returns trigger language plpgsql stable parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_worker: execute

-- The offset from which each partition goes on. The arrays go together; a stored offset is NULL for a partition never seen.
create function internal.claim_partitions(topic text, partitions integer[], stored_offsets bigint[], log_start_offsets bigint[], log_end_offsets bigint[]) returns TABLE(partition integer, next_offset bigint) language plpgsql volatile parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_ingest: execute
-- stacklens_worker: execute

-- Deletes resolved alerts, their history, past silences, rejected events and services that are older than analytics.retention keeps them; returns the number of rows.
create function internal.clean_up() returns bigint language plpgsql volatile parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_worker: execute

-- Completes the transaction that has copied a batch into analytics.events; SL001 when the partition is not at expected_offset. services: [{service, first_ms, last_ms}]; oldest_by_minute: time of the oldest event of each older minute of the batch; rejects: [{offset, reason, detail, payload}]; times in epoch milliseconds. Notifies stacklens_ingested when there are events.
create function internal.commit_batch(topic text, partition integer, expected_offset bigint, next_offset bigint, log_end_offset bigint, services jsonb, oldest_by_minute jsonb, rejects jsonb) returns void language plpgsql volatile parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_ingest: execute
-- stacklens_worker: execute

-- Values of the metrics of schema alert_metrics that enabled rules use. A metric that fails is left out, and its rules get last_error and failing_since.
create function internal.custom_metric_samples(as_of timestamp with time zone) returns SETOF internal.metric_sample language plpgsql volatile parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_worker: execute

-- Failed requests as percent (0..100) of all; NULL, not 0, when there are none.
create function internal.error_rate(failed bigint, total bigint) returns double precision language sql immutable parallel safe
-- stacklens_adhoc: execute
-- stacklens_ingest: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- The raw events of [since, until) as one additive row a service.
create function internal.event_rows(since timestamp with time zone, until timestamp with time zone) returns TABLE(service text, total_requests bigint, failed_requests bigint, latency_count bigint, latency_sum double precision, latency_min double precision, latency_max double precision, latency_histogram integer[], users bit, ips bit, risk_count bigint, risk_sum double precision, high_risk_count bigint) language sql stable parallel safe
-- stacklens_worker: execute

-- Complementary exponential integral Ein(x) for x >= 0, absolute error below 1e-6. Formulas 5.1.53 and 5.1.56 of Abramowitz and Stegun, Handbook of Mathematical Functions.
create function internal.exponential_integral(x double precision) returns double precision language sql immutable parallel safe
-- stacklens_adhoc: execute
-- stacklens_ingest: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Health from error rate (percent) and p99 latency (ms); NULL without requests, since missing data is not health.
create function internal.health(total_requests bigint, error_rate double precision, latency_p99 double precision) returns analytics.health language sql immutable parallel safe
-- stacklens_adhoc: execute
-- stacklens_ingest: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Sum of two histograms of the same shape, bin by bin; NULL counts as empty. Error 22003 when a bin exceeds 2147483647.
create function internal.histogram_add(a integer[], b integer[]) returns integer[] language sql immutable parallel safe
-- stacklens_adhoc: execute
-- stacklens_ingest: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Latency (ms) that stands for a bin of a latency histogram: its geometric middle, kept within [smallest, largest]. Bin 1 is below 0.1 ms and stands for the smallest, bin 402 is 10 min and above and stands for the largest.
create function internal.histogram_bin_middle(bin bigint, smallest double precision, largest double precision) returns double precision language sql immutable parallel safe
-- stacklens_adhoc: execute
-- stacklens_ingest: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Percentiles (ms) of a latency histogram by nearest rank (percentile_disc), one for each fraction (0..1), within 2 % between 0.1 ms and 10 min, never outside [smallest, largest]. An empty or NULL histogram has NULL percentiles. Same idea and error bound as DDSketch (Masson, Rim, Lee: DDSketch, VLDB 2019).
create function internal.histogram_percentiles(histogram integer[], smallest double precision, largest double precision, fractions double precision[]) returns double precision[] language sql immutable parallel safe
-- stacklens_adhoc: execute
-- stacklens_ingest: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Sum of histograms of the same shape, bin by bin; NULLs are left out, NULL for no histogram.
create aggregate internal.histogram_sum(integer[]) returns integer[] language internal immutable parallel safe
-- stacklens_adhoc: execute
-- stacklens_ingest: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Renews the lease on sending alert messages, to be called every few seconds; a lease of 0 gives it back.
create function internal.hold_alert_messages(holder uuid, lease interval DEFAULT '00:00:10'::interval) returns void language sql volatile parallel unsafe
-- stacklens_worker: execute

-- How the ingesters of a topic are doing. Not ok, with the reason as detail: none has reported for 30 s, a partition with waiting messages has not moved for 60 s, or more than a million messages wait. lag: messages that wait.
create function internal.ingest_status(topic text) returns TABLE(ok boolean, detail text, lag bigint, checked_at timestamp with time zone) language sql stable parallel unsafe security definer set search_path=pg_catalog, pg_temp
-- stacklens_server: execute
-- stacklens_worker: execute

-- Whether a built-in metric is a count, which silence makes 0 and not unknown, and to which min_requests does not apply.
create function internal.is_count(metric text) returns boolean language sql immutable parallel safe
-- stacklens_adhoc: execute
-- stacklens_ingest: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Whether a silence mutes the messages of an alert: each column that a silence fills in must match, an empty one always does.
create function internal.is_silenced(rule_id text, service text, severity analytics.alert_severity, as_of timestamp with time zone) returns boolean language sql stable parallel unsafe
-- stacklens_worker: execute

-- When services were known, as internal.known_services means it, around [since, until): [known_since, known_until). Exact, but to 5 minutes (1 hour where the 5 min level is gone) for one that came back after more than a day.
create function internal.known_periods(since timestamp with time zone, until timestamp with time zone) returns TABLE(service text, known_since timestamp with time zone, known_until timestamp with time zone) language plpgsql stable parallel unsafe security definer set search_path=pg_catalog, pg_temp
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Services that sent an event within the day before as_of. For these, silence is a measured zero; all others are unknown.
create function internal.known_services(as_of timestamp with time zone) returns TABLE(service text) language sql stable parallel unsafe
-- stacklens_worker: execute

-- Position of a latency (ms) on the logarithmic axis of the latency histograms; 0 ms, which has no logarithm, counts as 0.001 ms.
create function internal.latency_histogram_axis(latency_ms double precision) returns double precision language sql immutable parallel safe
-- stacklens_adhoc: execute
-- stacklens_ingest: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Value of a built-in metric over the lookback before each of the moments, for each service with events in it. services, if given, has as many elements: the one service that is wanted at each moment, or NULL for all. requests is NULL where min_requests does not apply. Exact where internal.window_rows is; with compared_with a percentile is exact only in how it compares with that.
create function internal.metric_series(metric text, lookback interval, moments timestamp with time zone[], services text[] DEFAULT NULL::text[], compared_with double precision DEFAULT NULL::double precision) returns TABLE(as_of timestamp with time zone, service text, value double precision, requests bigint) language plpgsql stable parallel unsafe security definer set search_path=pg_catalog, pg_temp set enable_nestloop=off set jit=off
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Deletes the messages that were sent and returns the next ones in their order, none when there are none or somebody else holds the lease. The holder renews it with internal.hold_alert_messages until they are sent.
create function internal.next_alert_messages(holder uuid, sent bigint[] DEFAULT '{}'::bigint[], max_messages integer DEFAULT 500) returns TABLE(id bigint, key text, message text) language plpgsql volatile parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_worker: execute

-- The state of an alert after the evaluation at as_of, which found a breach, clean, no_data, evaluation_failed or the end of the rule or service. Everything NULL from status on: there is no alert yet, and a breach begins one.
create function internal.next_alert_state(as_of timestamp with time zone, finding text, measured_value double precision, pending_period interval, keep_firing_for interval, on_no_data analytics.no_data_policy, status analytics.alert_status, reason text, value double precision, breaching_since timestamp with time zone, clean_since timestamp with time zone, frozen_at timestamp with time zone) returns TABLE(new_status analytics.alert_status, new_reason text, new_value double precision, new_breaching_since timestamp with time zone, new_clean_since timestamp with time zone, new_frozen_at timestamp with time zone) language sql stable parallel safe
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Trigger: sends the ids of new rows of alert_history to the channel alert_changes, when the transaction commits.
create function internal.notify_alert_changes() returns trigger language plpgsql volatile parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_worker: execute

-- Gauges for GET /metrics: name, help, labels, value; value NULL where there is none. Samples of one name are together.
create function internal.prometheus() returns TABLE(name text, help text, labels jsonb, value double precision) language sql stable parallel unsafe security definer set search_path=pg_catalog, pg_temp
-- stacklens_server: execute
-- stacklens_worker: execute

-- Trigger: writes a row of alert_history for each alert whose status or reason changed, and drops pending ones that are over.
create function internal.record_alert_history() returns trigger language plpgsql volatile parallel unsafe security definer set search_path=pg_catalog, pg_temp
-- stacklens_worker: execute

-- Materializes what changed in every roll-up since the last call; run by the worker each second and by a job of the database each minute, must not be called within a transaction. The arguments are those that TimescaleDB gives to a job; they are not used.
create procedure internal.refresh_rollups(IN job_id integer DEFAULT NULL::integer, IN config jsonb DEFAULT NULL::jsonb) language plpgsql volatile parallel unsafe
-- stacklens_worker: execute

-- Stores the end of the log of each partition, and when it was looked at; returns their next offsets. The arrays go together.
create function internal.report_log_ends(topic text, partitions integer[], log_end_offsets bigint[]) returns TABLE(partition integer, next_offset bigint) language sql volatile parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_ingest: execute
-- stacklens_worker: execute

-- Trigger: resolves the open alerts of rules that were changed, disabled or deleted, with that as the reason.
create function internal.reset_alerts() returns trigger language plpgsql volatile parallel unsafe security definer set search_path=pg_catalog, pg_temp
-- stacklens_worker: execute

-- Trigger: writes the message to Kafka for alerts that were triggered, acknowledged or resolved, if they are not silenced. event_id is made of rule, service, start of the episode and place in it, the same however often a message is delivered.
create function internal.send_alert_messages() returns trigger language plpgsql volatile parallel unsafe security definer set search_path=pg_catalog, pg_temp set TimeZone=UTC
-- stacklens_worker: execute

-- Bit (0..24575) that a hashed value sets in a distinct-count sketch: cells of geometrically falling probability.
create function internal.sketch_cell(hash bigint) returns integer language sql immutable parallel safe
-- stacklens_adhoc: execute
-- stacklens_ingest: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Estimated number of distinct values in a sketch (standard error 1.5 %, to some 10 million); 0 for an empty one. Linear counting (Whang et al., 1990) over cells of geometrically falling probability, as in multiresolution bitmaps (Estan, Varghese, Fisk, 2003).
create function internal.sketch_estimate(sketch bit) returns bigint language plpgsql immutable parallel safe strict security definer set search_path=pg_catalog, pg_temp
-- stacklens_adhoc: execute
-- stacklens_ingest: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Distinct-count sketch of the cells given as first argument (internal.sketch_cell); the second argument is always 1. NULL cells are left out. Sketches merge with bit_or and are read by internal.sketch_estimate.
create aggregate internal.sketch(integer, integer) returns bit language internal immutable parallel safe
-- stacklens_adhoc: execute
-- stacklens_ingest: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Start of the oldest chunk of a hypertable or continuous aggregate; -infinity when it has none.
create function internal.stored_since(relation regclass) returns timestamp with time zone language sql stable parallel safe
-- stacklens_worker: execute

-- Trigger: sets updated_at to the time of the change.
create function internal.touch_updated_at() returns trigger language plpgsql volatile parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_worker: execute

-- Metrics of every service with events in [since, until); as exact as internal.window_rows. Rates in percent, latencies in ms.
create function internal.window_metrics(since timestamp with time zone, until timestamp with time zone) returns TABLE(service text, total_requests bigint, successful_requests bigint, failed_requests bigint, error_rate double precision, latency_count bigint, latency_min double precision, latency_p50 double precision, latency_p95 double precision, latency_p99 double precision, latency_max double precision, latency_mean double precision, unique_users bigint, unique_ips bigint, risk_count bigint, avg_risk_score double precision, high_risk_count bigint) language sql stable parallel unsafe security definer set search_path=pg_catalog, pg_temp
-- stacklens_adhoc: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Additive rows, several a service, that together cover [since, until): to the microsecond while the raw events of both edges are kept, and to the finest kept bucket, outwards, after that.
create function internal.window_rows(since timestamp with time zone, until timestamp with time zone) returns TABLE(service text, total_requests bigint, failed_requests bigint, latency_count bigint, latency_sum double precision, latency_min double precision, latency_max double precision, latency_histogram integer[], users bit, ips bit, risk_count bigint, risk_sum double precision, high_risk_count bigint) language plpgsql stable parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_worker: execute

-- job: internal.refresh_rollups every 00:01:00 
