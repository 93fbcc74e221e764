-- The schema as the migrations leave it, without bodies, which are in sql/.
-- Written by `npm run check -- --write`; not for running.

-- The metrics that alert rules can name. Add one by creating a function here: <name>(lookback interval, as_of timestamptz) returns table (service text, value double precision). Without as_of it cannot be previewed over the past.
create schema alert_metrics

-- StackLens: events, metrics and alerts of services.
create schema analytics

-- What analytics is made of; nothing here is for clients.
create schema internal

-- How a rule compares its metric with its threshold.
-- - >: Breaches above the threshold.
-- - >=: Breaches at the threshold and above.
-- - <: Breaches below the threshold.
-- - <=: Breaches at the threshold and below.
-- - ==: Breaches at exactly the threshold.
-- - !=: Breaches everywhere but at the threshold.
create type analytics.alert_operator as enum ('>', '>=', '<', '<=', '==', '!=')

-- Why an alert is in its state, or why it was resolved.
-- - breach: The metric breaches the threshold.
-- - keep_firing: The metric is clean, but not for as long as the rule wants it.
-- - no_data: The metric has no value; what that means is up to the rule.
-- - evaluation_failed: The metric cannot be evaluated; the alert is frozen.
-- - silence_ended: Its silence is over, and its message is out.
-- - acknowledged: A person looks at it.
-- - clean: Resolved: the metric does not breach any more.
-- - service_gone: Resolved: the service sent nothing for a day.
-- - resolved_by_hand: Resolved: a person ended it.
-- - rule_changed: Resolved: the rule was edited.
-- - rule_disabled: Resolved: the rule was switched off.
-- - rule_deleted: Resolved: the rule was deleted.
create type analytics.alert_reason as enum ('breach', 'keep_firing', 'no_data', 'evaluation_failed', 'silence_ended', 'acknowledged', 'clean', 'service_gone', 'resolved_by_hand', 'rule_changed', 'rule_disabled', 'rule_deleted')

-- How urgent an alert is.
-- - info: Good to know.
-- - warning: To be looked at soon.
-- - critical: To be looked at now.
create type analytics.alert_severity as enum ('info', 'warning', 'critical')

-- State of an alert.
-- - pending: It breaches, but not for long enough to fire.
-- - active: It fires.
-- - acknowledged: It fires, and somebody looks at it.
-- - resolved: It is over.
create type analytics.alert_status as enum ('pending', 'active', 'acknowledged', 'resolved')

-- Severity of an event, from the least to the most severe.
-- - debug: For developers; no failure.
-- - info: As it should be; no failure.
-- - warning: Odd, but no failure.
-- - error: Failed.
-- - critical: Failed, and somebody must act.
create type analytics.event_level as enum ('debug', 'info', 'warning', 'error', 'critical')

-- Health of a service over the last minute.
-- - healthy: Neither of the others.
-- - warning: More than 5 percent of the requests failed, or the 99th percentile of the latency is above 500 ms.
-- - critical: More than 20 percent of the requests failed.
create type analytics.health as enum ('healthy', 'warning', 'critical')

-- What an alert does while its metric has no value.
-- - keep: Stay in its state, with its clocks stopped.
-- - ok: Take it as clean.
-- - alert: Take it as a breach.
create type analytics.no_data_policy as enum ('keep', 'ok', 'alert')

-- Rule of the contract that a message breaks.
-- - empty_message: It has no value.
-- - too_large: It is too large.
-- - invalid_utf8: It is not UTF-8.
-- - invalid_json: It is not JSON.
-- - not_an_object: It is JSON, but not an object.
-- - too_deep: It has too many levels of objects and arrays.
-- - invalid_text: A text has U+0000 or half of a surrogate pair.
-- - invalid_number: A number is too large or too long.
-- - missing_field: The timestamp, service or level is missing.
-- - invalid_field: A field breaks its rule.
-- - too_late: It is older than raw events are kept; the roll-ups of that time are final.
-- - too_early: It is too far ahead of the clock of the ingester.
-- - database_error: The database refused the row.
create type analytics.reject_reason as enum ('empty_message', 'too_large', 'invalid_utf8', 'invalid_json', 'not_an_object', 'too_deep', 'invalid_text', 'invalid_number', 'missing_field', 'invalid_field', 'too_late', 'too_early', 'database_error')

-- Width of the buckets that metrics are given in.
-- - one_minute: Buckets of 1 minute.
-- - five_minutes: Buckets of 5 minutes.
-- - one_hour: Buckets of 1 hour.
create type analytics.resolution as enum ('one_minute', 'five_minutes', 'one_hour')

-- What is kept for a time of its own.
-- - raw: Events as they were sent.
-- - 10s: Roll-up in buckets of 10 seconds.
-- - 1min: Roll-ups in buckets of 1 minute, per service and per endpoint.
-- - 5min: Roll-ups in buckets of 5 minutes, per service and per endpoint.
-- - 1hour: Roll-up in buckets of 1 hour.
-- - alerts: Resolved alerts, their history, and past silences.
-- - rejected_events: Messages that were no events.
create type analytics.retention_tier as enum ('raw', '10s', '1min', '5min', '1hour', 'alerts', 'rejected_events')

-- Changes of state or reason of all alerts; they outlive rules and pending alerts.
create table analytics.alert_history (
  id bigint not null generated always as identity -- Number of the change.
  alert_id bigint not null -- Number of the alert; one that never fired is gone.
  rule_id text not null -- Id of the rule; it may be gone by now.
  rule_version integer not null -- Version of the rule when the alert began, a number from 1.
  service text not null -- Name of the service.
  previous_status analytics.alert_status -- State before the change; null where the alert began.
  status analytics.alert_status not null -- State after the change; the same as before where only the reason changed.
  reason analytics.alert_reason not null -- Why it is in this state.
  value double precision -- Value of the metric at that moment, in its unit; null: no data.
  as_of timestamp with time zone not null -- Moment of the evaluation, or of the acknowledgement, the resolving by hand or the change of the rule.
  watermark timestamp with time zone -- When the newest batch of events that the evaluation could see had been stored; null: there was none.
  author text -- Who acknowledged it or resolved it by hand; null for every other change.
  comment text -- What the author said; null: nothing.
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
  id text not null -- Name of the rule for programs, a slug: lower-case letters and digits, words joined by _ or -; at most 100 characters.
  name text not null -- Name of the rule for people, 1 to 255 characters.
  description text not null default ''::text -- What it means when this fires, and what to do.
  service text not null default '*'::text -- Name of the service that it watches, or * (the default) for every service, each with an alert of its own.
  metric text not null -- What is measured: error_rate (percent), error_count (failed requests), total_requests, throughput (requests per second), latency_p50, latency_p95, latency_p99, latency_mean, latency_max (ms), avg_risk_score (0..1), high_risk_count, unique_users, or the name of a function in schema alert_metrics.
  operator analytics.alert_operator not null -- How the metric is compared with the threshold to breach.
  threshold double precision not null -- What the metric is compared with, in its unit.
  lookback interval not null -- Time before the evaluation that the metric covers: at least 1 second, at most as long as raw events are kept.
  pending_period interval not null default '00:00:00'::interval -- How long it must breach without a break before it fires; 0 (the default): at once. Prometheus calls it "for".
  keep_firing_for interval not null default '00:00:00'::interval -- How long it must be clean before its alert is resolved; 0 (the default): at once.
  min_requests integer not null default 0 -- Requests that the lookback must hold: with fewer, rates, percentiles and averages are no data; counts are not affected. Default 0.
  on_no_data analytics.no_data_policy not null default 'keep'::analytics.no_data_policy -- What its alerts do while the metric has no value; by default they keep their state.
  severity analytics.alert_severity not null -- How urgent its alerts are; silences can name it.
  labels jsonb not null default '{}'::jsonb -- JSON object of anything, which its alerts have, too.
  enabled boolean not null default true -- Whether it is evaluated (the default); if not, its open alerts are resolved.
  version integer not null default 1 -- Number of the latest change, from 1.
  created_at timestamp with time zone not null default now() -- When it was made.
  updated_at timestamp with time zone not null default now() -- When it was changed last.
  last_error text -- Why its metric cannot be evaluated; null when it can. Its alerts are frozen meanwhile. For operators.
  failing_since timestamp with time zone -- Evaluation since which its metric cannot be evaluated; null when it can.
  constraint alert_rules_pkey PRIMARY KEY (id)
  constraint id_is_a_slug CHECK (((id ~ '^[a-z0-9]+([_-][a-z0-9]+)*$'::text) AND (length(id) <= 100)))
  constraint keep_firing_for_is_not_negative CHECK ((keep_firing_for >= '00:00:00'::interval))
  constraint labels_are_an_object CHECK ((jsonb_typeof(labels) = 'object'::text))
  constraint lookback_is_at_least_1_second CHECK ((lookback >= '00:00:01'::interval))
  constraint min_requests_is_not_negative CHECK ((min_requests >= 0))
  constraint name_has_1_to_255_characters CHECK (((length(name) >= 1) AND (length(name) <= 255)))
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

-- Episodes of a rule on a service, each from the first breach until it is resolved, with the rule as it was at its beginning. A pending one that never fires is dropped; its history stays.
create table analytics.alerts (
  id bigint not null generated always as identity -- Number of the alert.
  rule_id text not null -- Id of the rule; it may be gone by now.
  rule_name text not null -- Name of the rule when the alert began.
  rule_version integer not null -- Version of the rule when the alert began, a number from 1.
  service text not null -- Name of the service.
  severity analytics.alert_severity not null -- How urgent it is, by the rule when the alert began.
  labels jsonb not null -- Labels of the rule when the alert began, a JSON object.
  metric text not null -- Metric of the rule when the alert began, such as error_rate.
  operator analytics.alert_operator not null -- How the metric is compared with the threshold to breach.
  threshold double precision not null -- Threshold of the rule when the alert began, in the unit of the metric.
  lookback interval not null -- Time that the metric covers.
  status analytics.alert_status not null -- State of the alert.
  reason analytics.alert_reason not null -- Why it is in this state.
  value double precision -- Value of the metric, in its unit, at the evaluation; up to 10 s old while nothing changes. Null: no data.
  started_at timestamp with time zone not null -- Evaluation at which it began to breach.
  triggered_at timestamp with time zone -- When it began to fire; null while it is pending.
  acknowledged_at timestamp with time zone -- When a person said that they look at it; null: nobody did.
  acknowledged_by text -- Who looks at it: the subject of the token, or the database role; null: nobody does.
  comment text -- What was said last, when it was acknowledged or resolved by hand; its history has both. Null: nothing.
  resolved_at timestamp with time zone -- When it ended; null while it is open.
  resolved_by text -- Who resolved it by hand: the subject of the token, or the database role; null: it ended by itself, or is open.
  notified_at timestamp with time zone -- When its triggered message was sent; null while it is pending or silenced.
  evaluated_at timestamp with time zone not null -- Evaluation that the value is from.
  changed_at timestamp with time zone not null -- When its state or reason changed last.
  watermark timestamp with time zone -- When the newest batch of events that the evaluation could see had been stored; null: there was none.
  breaching_since timestamp with time zone not null -- Where the clock of the pending period started: at the first breach, plus the time without data.
  clean_since timestamp with time zone -- Where the clock that ends it started: at the first clean evaluation, plus the time without data; null while it breaches.
  frozen_at timestamp with time zone -- First evaluation without data; until there is data again its clocks stand still. Null: there is data.
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

-- Request and log events as the services sent them, one row each. For operators.
create table analytics.events (
  "time" timestamp with time zone not null -- When it happened, by the clock of the service.
  ingested_at timestamp with time zone not null default now() -- When the transaction that stored it began.
  service text not null -- Name of the service that sent it.
  endpoint text -- Route or operation; null for what has none.
  level analytics.event_level not null -- Severity; error and critical count as failed.
  status_code smallint -- HTTP status, 100..599; null for what has none.
  latency_ms double precision -- Duration in ms, not negative; null for what has none.
  error_message text -- What went wrong, in words, at most 8 KiB; null for what has none.
  error_count integer not null default 0 -- Errors that the service counted within this event.
  request_id text -- Identifier of the request; null when it was not sent.
  user_id text -- Identifier of the user who made the request; null when it was not sent.
  source_ip inet -- Address that the request came from; null when it was not sent.
  geo_country text -- Country that the request came from; null when it was not sent.
  user_subscription_tier text -- Subscription of the user; null when it was not sent.
  business_risk_score double precision -- Risk that the service sees in it, 0..1; above 0.7 is high. Null when it was not sent.
  trace_id text -- Identifier of the trace; null when it was not sent.
  span_id text -- Identifier of the span within the trace; null when it was not sent.
  attributes jsonb -- Every other field of the event, a JSON object; null when there is none.
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

-- Messages that are not events by the contract, with what is wrong about them. For operators.
create table analytics.rejected_events (
  id bigint not null generated always as identity -- Number of the rejected message.
  received_at timestamp with time zone not null default now() -- When it was read from Kafka.
  topic text not null -- Kafka topic of the message.
  partition integer not null -- Number of the Kafka partition, from 0.
  "offset" bigint not null -- Kafka offset of the message within its partition.
  reason analytics.reject_reason not null -- Which rule it breaks.
  detail text not null -- The broken rule in words, with the field and its value.
  payload text -- The message as text, cut at 8 KiB; bytes that are not UTF-8 as replacement characters, NUL as U+2400. Null for a message without a value.
  constraint rejected_events_topic_partition_offset_key UNIQUE (topic, partition, "offset")
  constraint rejected_events_pkey PRIMARY KEY (id)
)
CREATE INDEX rejected_events_received_at_idx ON analytics.rejected_events USING btree (received_at)
-- stacklens_adhoc: select
-- stacklens_ingest: insert, select, update
-- stacklens_operator: select
-- stacklens_worker: delete, select

-- How long each tier is kept. Editing a row in SQL changes the policies; a ladder that would roll up dropped data is refused.
create table analytics.retention (
  tier analytics.retention_tier not null -- What is kept.
  keep interval not null -- Age at which rows are dropped; for raw also the oldest event that is accepted.
  compress_after interval -- Age at which raw events move to the columnstore, which is smaller; null: never, as for the other tiers.
  updated_at timestamp with time zone not null default now() -- When this was changed last.
  constraint retention_pkey PRIMARY KEY (tier)
  constraint retention_check CHECK (((compress_after IS NULL) OR ((compress_after > '00:00:00'::interval) AND (tier = 'raw'::analytics.retention_tier))))
  constraint retention_keep_check CHECK ((keep > '00:00:00'::interval))
)
CREATE TRIGGER apply_retention AFTER INSERT OR DELETE OR UPDATE ON analytics.retention FOR EACH STATEMENT EXECUTE FUNCTION internal.apply_retention()
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON analytics.retention FOR EACH ROW EXECUTE FUNCTION internal.touch_updated_at()
-- stacklens_adhoc: select
-- stacklens_ingest: select
-- stacklens_viewer: select
-- stacklens_worker: select

-- Services that have sent an event within the longest retention.
create table analytics.services (
  service text not null -- Name of the service.
  first_seen timestamp with time zone not null -- Time of the first event received.
  last_seen timestamp with time zone not null -- Time of the newest event received, kept to within 10 s.
  known_since timestamp with time zone not null default now() -- When its first event was received, or the first one after a day without any: from then on silence is a measured zero.
  constraint services_pkey PRIMARY KEY (service)
)
-- stacklens_adhoc: select
-- stacklens_ingest: insert, select, update
-- stacklens_viewer: select
-- stacklens_worker: delete, select

-- Times in which alerts are muted: they are seen, but send no message. One that still fires at the end sends it then; one whose triggered message was sent before sends its resolved one even when silenced.
create table analytics.silences (
  id bigint not null generated always as identity -- Number of the silence.
  rule_id text -- Id of the rule that it mutes, with which it is deleted; null: every rule.
  service text -- Name of the service that it mutes; null: every service.
  severity analytics.alert_severity -- Severity that it mutes; null: every severity.
  starts_at timestamp with time zone not null default now() -- From when on alerts that begin to fire are muted; by default at once.
  ends_at timestamp with time zone not null -- Until when; what still fires then sends its message.
  reason text not null -- Why, for those who wonder why no message came.
  created_by text not null default COALESCE(NULLIF(current_setting('jwt.claims.sub'::text, true), ''::text), (CURRENT_USER)::text) -- Who made it: the subject of the token, or the database role.
  created_at timestamp with time zone not null default now() -- When it was made.
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
  id bigint -- Number of the alert.
  rule_id text -- Id of the rule; it may be gone by now.
  rule_name text -- Name of the rule when the alert began.
  service text -- Name of the service.
  severity analytics.alert_severity -- How urgent it is, by the rule when the alert began.
  status analytics.alert_status -- State of the alert: active or acknowledged.
  reason analytics.alert_reason -- Why it is in this state.
  metric text -- Metric of the rule when the alert began, such as error_rate.
  operator analytics.alert_operator -- How the metric is compared with the threshold to breach.
  threshold double precision -- Threshold of the rule when the alert began, in the unit of the metric.
  value double precision -- Value of the metric, in its unit, at the evaluation; up to 10 s old while nothing changes. Null: no data.
  message text -- The alert in a sentence.
  labels jsonb -- Labels of the rule when the alert began, a JSON object.
  triggered_at timestamp with time zone -- When it began to fire.
  firing_for interval -- Time since it began to fire.
  acknowledged_at timestamp with time zone -- When a person said that they look at it; null: nobody did.
  acknowledged_by text -- Who looks at it: the subject of the token, or the database role; null: nobody does.
  comment text -- What was said last, when it was acknowledged or resolved by hand; its history has both. Null: nothing.
  silenced boolean -- Whether a silence holds back its message.
  evaluated_at timestamp with time zone -- Evaluation that the value is from.
)
-- stacklens_adhoc: select
-- stacklens_viewer: select
-- stacklens_worker: select

create type analytics.alert_preview (
  service text -- Name of the service.
  status analytics.alert_status -- State at the end of the range; resolved without having fired: it would have been pending only.
  reason analytics.alert_reason -- Why it would be in that state.
  started_at timestamp with time zone -- Evaluation at which it would have begun to breach.
  triggered_at timestamp with time zone -- When it would have fired; null: it would not.
  resolved_at timestamp with time zone -- When it would have ended; null: it is open at the end of the range.
  value double precision -- Value of the metric, in its unit, when it would have fired, or else at the start; null: no data.
  worst_value double precision -- The farthest that the metric went beyond the threshold until the end, in its unit; of a percentile, what it was when the largest share of requests was beyond. null for == and !=, and where it never had a value.
  resolution interval -- 0: the windows were exact when it began. Else they were widened to whole buckets of this width, because nothing finer is kept. null for a metric of schema alert_metrics.
)

create type analytics.alert_statistics (
  severity analytics.alert_severity -- How urgent these alerts are.
  total bigint -- Alerts that are open, or were resolved within the period.
  pending bigint -- Alerts that are pending now.
  active bigint -- Alerts that fire now and that nobody has acknowledged.
  acknowledged bigint -- Alerts that fire now and that somebody looks at.
  resolved bigint -- Alerts that were resolved within the period.
  triggered bigint -- Alerts, of these, that began to fire within the period.
  mean_time_to_acknowledge interval -- Mean time from the beginning of firing to the acknowledgement; null when none was acknowledged.
  mean_time_to_resolve interval -- Mean time from the beginning of firing to the end; null when none was resolved.
)

create type analytics.archived_tier (
  tier analytics.retention_tier -- What was kept.
  compressed_chunks bigint -- Chunks, which are the parts of a table by time, that went to the columnstore.
  dropped_chunks bigint -- Chunks that were dropped, with all their rows.
  deleted_rows bigint -- Rows that were deleted one by one: of alerts with their history, or of rejected events.
)

-- Metrics of each service and endpoint in buckets of 5 minutes, up to the last committed event.
create view analytics.endpoint_metrics_5min (
  bucket timestamp with time zone -- Start of the bucket.
  service text -- Name of the service.
  endpoint text -- Route or operation.
  total_requests bigint -- Events in the bucket.
  successful_requests bigint -- Events in the bucket that did not fail.
  failed_requests bigint -- Events in the bucket with level error or critical.
  error_rate double precision -- Failed requests in percent of all, 0..100.
  latency_min double precision -- Smallest latency in ms, exact; null without latencies.
  latency_p50 double precision -- Median latency in ms, within 2 %; null without latencies.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %; null without latencies.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %; null without latencies.
  latency_max double precision -- Largest latency in ms, exact; null without latencies.
  latency_mean double precision -- Mean latency in ms; null without latencies.
  unique_users bigint -- Distinct users, standard error 1.5 %.
  unique_ips bigint -- Distinct source addresses, standard error 1.5 %.
  avg_risk_score double precision -- Mean business risk score, 0..1; null when no event had one.
  high_risk_count bigint -- Events with a business risk score above 0.7.
)
-- stacklens_adhoc: select
-- stacklens_viewer: select
-- stacklens_worker: select

-- Events with a business risk score above 0.7.
create view analytics.high_risk_events (
  "time" timestamp with time zone -- When it happened, by the clock of the service.
  service text -- Name of the service.
  endpoint text -- Route or operation; null for what has none.
  level analytics.event_level -- Severity; error and critical count as failed.
  status_code smallint -- HTTP status, 100..599; null for what has none.
  latency_ms double precision -- Duration in ms, not negative; null for what has none.
  business_risk_score double precision -- Risk that the service sees in it: above 0.7, up to 1.
  user_id text -- Identifier of the user who made the request; null when it was not sent. For operators.
  source_ip inet -- Address that the request came from; null when it was not sent. For operators.
  geo_country text -- Country that the request came from; null when it was not sent.
  user_subscription_tier text -- Subscription of the user; null when it was not sent.
  request_id text -- Identifier of the request; null when it was not sent.
  trace_id text -- Identifier of the trace; null when it was not sent.
)
-- stacklens_adhoc: select
-- stacklens_operator: select
-- stacklens_worker: select

-- Metrics of each service in buckets of 1 hour, up to the last committed event.
create view analytics.metrics_1hour (
  bucket timestamp with time zone -- Start of the bucket.
  service text -- Name of the service.
  total_requests bigint -- Events in the bucket.
  successful_requests bigint -- Events in the bucket that did not fail.
  failed_requests bigint -- Events in the bucket with level error or critical.
  error_rate double precision -- Failed requests in percent of all, 0..100.
  latency_min double precision -- Smallest latency in ms, exact; null without latencies.
  latency_p50 double precision -- Median latency in ms, within 2 %; null without latencies.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %; null without latencies.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %; null without latencies.
  latency_max double precision -- Largest latency in ms, exact; null without latencies.
  latency_mean double precision -- Mean latency in ms; null without latencies.
  unique_users bigint -- Distinct users, standard error 1.5 %.
  unique_ips bigint -- Distinct source addresses, standard error 1.5 %.
  avg_risk_score double precision -- Mean business risk score, 0..1; null when no event had one.
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
  successful_requests bigint -- Events in the bucket that did not fail.
  failed_requests bigint -- Events in the bucket with level error or critical.
  error_rate double precision -- Failed requests in percent of all, 0..100.
  latency_min double precision -- Smallest latency in ms, exact; null without latencies.
  latency_p50 double precision -- Median latency in ms, within 2 %; null without latencies.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %; null without latencies.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %; null without latencies.
  latency_max double precision -- Largest latency in ms, exact; null without latencies.
  latency_mean double precision -- Mean latency in ms; null without latencies.
  unique_users bigint -- Distinct users, standard error 1.5 %.
  unique_ips bigint -- Distinct source addresses, standard error 1.5 %.
  avg_risk_score double precision -- Mean business risk score, 0..1; null when no event had one.
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
  successful_requests bigint -- Events in the bucket that did not fail.
  failed_requests bigint -- Events in the bucket with level error or critical.
  error_rate double precision -- Failed requests in percent of all, 0..100.
  latency_min double precision -- Smallest latency in ms, exact; null without latencies.
  latency_p50 double precision -- Median latency in ms, within 2 %; null without latencies.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %; null without latencies.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %; null without latencies.
  latency_max double precision -- Largest latency in ms, exact; null without latencies.
  latency_mean double precision -- Mean latency in ms; null without latencies.
  unique_users bigint -- Distinct users, standard error 1.5 %.
  unique_ips bigint -- Distinct source addresses, standard error 1.5 %.
  avg_risk_score double precision -- Mean business risk score, 0..1; null when no event had one.
  high_risk_count bigint -- Events with a business risk score above 0.7.
)
-- stacklens_adhoc: select
-- stacklens_viewer: select
-- stacklens_worker: select

create type analytics.metrics_bucket (
  bucket timestamp with time zone -- Start of the bucket.
  service text -- Name of the service.
  total_requests bigint -- Events in the bucket.
  successful_requests bigint -- Events in the bucket that did not fail.
  failed_requests bigint -- Events in the bucket with level error or critical.
  error_rate double precision -- Failed requests in percent of all, 0..100.
  latency_min double precision -- Smallest latency in ms, exact; null without latencies.
  latency_p50 double precision -- Median latency in ms, within 2 %; null without latencies.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %; null without latencies.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %; null without latencies.
  latency_max double precision -- Largest latency in ms, exact; null without latencies.
  latency_mean double precision -- Mean latency in ms; null without latencies.
  unique_users bigint -- Distinct users, standard error 1.5 %.
  unique_ips bigint -- Distinct source addresses, standard error 1.5 %.
  avg_risk_score double precision -- Mean business risk score, 0..1; null when no event had one.
  high_risk_count bigint -- Events with a business risk score above 0.7.
)

-- Metrics of the last 24 hours in buckets of 5 minutes, with the change against the bucket before of the same service.
create view analytics.performance_trend (
  bucket timestamp with time zone -- Start of the bucket.
  service text -- Name of the service.
  total_requests bigint -- Events in the bucket.
  error_rate double precision -- Failed requests in percent of all, 0..100.
  latency_p50 double precision -- Median latency in ms, within 2 %; null without latencies.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %; null without latencies.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %; null without latencies.
  latency_mean double precision -- Mean latency in ms; null without latencies.
  total_requests_change bigint -- Events more or less than in the bucket before; null in the first bucket.
  error_rate_change double precision -- Percentage points more or less than in the bucket before; null in the first bucket.
  latency_p95_change double precision -- Change of the 95th percentile of the latency in ms against the bucket before; null in the first bucket, or without latencies.
)
-- stacklens_adhoc: select
-- stacklens_viewer: select
-- stacklens_worker: select

-- Health of every service seen in the last day, over the last minute.
create view analytics.service_health (
  service text -- Name of the service.
  health analytics.health -- Health over the last minute; null without events in it.
  total_requests bigint -- Events in the last minute.
  failed_requests bigint -- Events with level error or critical in the last minute.
  error_rate double precision -- Failed requests in percent of all, 0..100; null without events.
  latency_p50 double precision -- Median latency in ms, within 2 %; null without latencies.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %; null without latencies.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %; null without latencies.
  latency_mean double precision -- Mean latency in ms; null without latencies.
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
  failed_requests bigint -- Events in the period with level error or critical.
  availability double precision -- Share of the requests that did not fail, 100 * (1 - failed / total), in percent, from sums over the period.
  objective double precision -- The availability aimed at, in percent.
  met boolean -- Whether the availability is at least the objective.
  error_budget double precision -- Failed requests that the objective allows for the requests of the period.
  error_budget_remaining double precision -- What is left of the error budget, in requests; negative when overspent.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %; null without latencies.
)

create type analytics.service_metrics (
  service text -- Name of the service.
  total_requests bigint -- Events in the range.
  successful_requests bigint -- Events in the range that did not fail.
  failed_requests bigint -- Events in the range with level error or critical.
  error_rate double precision -- Failed requests in percent of all, 0..100.
  throughput double precision -- Mean events per second over the range.
  latency_min double precision -- Smallest latency in ms, exact; null without latencies.
  latency_p50 double precision -- Median latency in ms, within 2 %; null without latencies.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %; null without latencies.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %; null without latencies.
  latency_max double precision -- Largest latency in ms, exact; null without latencies.
  latency_mean double precision -- Mean latency in ms; null without latencies.
  unique_users bigint -- Distinct users, standard error 1.5 %.
  unique_ips bigint -- Distinct source addresses, standard error 1.5 %.
  avg_risk_score double precision -- Mean business risk score, 0..1; null when no event had one.
  high_risk_count bigint -- Events with a business risk score above 0.7.
)

-- Services of the last hour, the highest 95th percentile of the latency first.
create view analytics.slowest_services (
  rank bigint -- Place, a number from 1; equal values share one.
  service text -- Name of the service.
  total_requests bigint -- Events in the last hour.
  failed_requests bigint -- Events with level error or critical in the last hour.
  error_rate double precision -- Failed requests in percent of all, 0..100.
  latency_p50 double precision -- Median latency in ms, within 2 %; null without latencies.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %; null without latencies.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %; null without latencies.
  latency_mean double precision -- Mean latency in ms; null without latencies.
  latency_max double precision -- Largest latency in ms, exact; null without latencies.
)
-- stacklens_adhoc: select
-- stacklens_viewer: select
-- stacklens_worker: select

create type analytics.statistics (
  events_stored bigint -- Events that are kept raw.
  events_last_minute bigint -- Events with a time in the last minute.
  events_per_second double precision -- Mean events per second over the last minute.
  newest_event timestamp with time zone -- Time of the newest event, within 10 s; null without events.
  services bigint -- Services seen in the last day.
  ingest_lag bigint -- Messages in Kafka that are not stored yet; null before the first batch.
  stored_at timestamp with time zone -- When the newest batch of events was stored; null before the first.
  rejected_last_hour bigint -- Messages rejected in the last hour.
  late_minutes bigint -- Minutes with late events that wait for their roll-up.
  rolled_up_until timestamp with time zone -- Up to where the finest roll-up is stored; newer events are aggregated when read. Null before the first refresh.
  rules_enabled bigint -- Alert rules that are evaluated.
  rules_failing bigint -- Of the enabled alert rules, those whose metric cannot be evaluated.
  alerts_pending bigint -- Alerts that breach, but not for long enough to fire.
  alerts_firing bigint -- Alerts that fire, acknowledged or not.
  evaluated_at timestamp with time zone -- When the alert rules were evaluated last; null before the first time.
  messages_waiting bigint -- Alert messages that Kafka has not got yet.
  events_bytes bigint -- Size of the raw events on disk in bytes, indexes included.
  database_bytes bigint -- Size of the database on disk in bytes.
)

-- Services of the last hour that failed, most failed requests first.
create view analytics.top_error_services (
  rank bigint -- Place, a number from 1; equal values share one.
  service text -- Name of the service.
  total_requests bigint -- Events in the last hour.
  failed_requests bigint -- Events with level error or critical in the last hour.
  error_rate double precision -- Failed requests in percent of all, 0..100.
  latency_p50 double precision -- Median latency in ms, within 2 %; null without latencies.
  latency_p95 double precision -- 95th percentile of the latency in ms, within 2 %; null without latencies.
  latency_p99 double precision -- 99th percentile of the latency in ms, within 2 %; null without latencies.
  latency_mean double precision -- Mean latency in ms; null without latencies.
  latency_max double precision -- Largest latency in ms, exact; null without latencies.
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
  whole boolean
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
  tier analytics.retention_tier
  relation regclass
)
-- stacklens_worker: select

-- Says that somebody looks at an active alert; it stays open until it is clean. Doing it again changes nothing. An alert that is not there or does not fire is an error (SQLSTATE 22023).
-- - alert_id: Number of the alert.
-- - comment: What to say about it; it stands in the alert and in its history.
-- - returns: The alert, acknowledged.
create function analytics.acknowledge_alert(alert_id bigint, comment text DEFAULT NULL::text) returns analytics.alerts language plpgsql volatile parallel unsafe security definer set search_path=pg_catalog, pg_temp
-- stacklens_operator: execute

-- How many alerts there are, and how fast they are dealt with, one row for each severity, the most urgent first. Alerts that are open count, and those that were resolved within the period.
-- - period: How far back from now; by default 24 hours.
create function analytics.alert_stats(period interval DEFAULT '24:00:00'::interval) returns SETOF analytics.alert_statistics language sql stable parallel unsafe
-- stacklens_adhoc: execute
-- stacklens_viewer: execute

-- Applies the retention at once: old raw events to the columnstore, then what is past its time away, tier by tier. The policies of the database and the worker do the same by themselves every 10 minutes.
-- - returns: What was done to each tier, the shortest kept first.
create function analytics.archive() returns SETOF analytics.archived_tier language plpgsql volatile parallel unsafe security definer set search_path=pg_catalog, pg_temp
-- stacklens_operator: execute

-- Brings all alerts to the state that the metrics of this moment ask for and returns the number of transitions. NULL when another one evaluates at the same time, or when as_of is not after the last evaluation, which never happens twice.
create function analytics.evaluate_alert_rules(as_of timestamp with time zone DEFAULT clock_timestamp()) returns integer language plpgsql volatile parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_worker: execute

-- Metrics in buckets of one resolution, oldest first.
-- - resolution: Width of the buckets.
-- - service: Only this service; null (the default): all.
-- - since: Start of the first bucket at the earliest; by default an hour ago.
-- - until: Only buckets that start before this; by default now.
create function analytics.metrics(resolution analytics.resolution, service text DEFAULT NULL::text, since timestamp with time zone DEFAULT (now() - '01:00:00'::interval), until timestamp with time zone DEFAULT now()) returns SETOF analytics.metrics_bucket language plpgsql stable parallel safe set search_path=pg_catalog, pg_temp
-- stacklens_adhoc: execute
-- stacklens_viewer: execute

-- When a rule would have fired in the past, for each service, with the timing of the live evaluation: one row for each time that it would have begun to breach, oldest first. It is evaluated at each multiple of the step in the range, at most 10 000 times, beginning without alerts, as if all events had been there in time. A rule that makes no sense is an error that says why (SQLSTATE 22023 or 23514).
-- - rule_id: A stored rule, whose values the other arguments change for the preview. Without one the rule need not be stored, and metric, operator, threshold and lookback are needed.
-- - metric: Metric of the rule: what an alert rule may name, but a function in schema alert_metrics needs a second argument, the moment.
-- - operator: How the metric is compared with the threshold to breach.
-- - threshold: What the metric is compared with, in its unit.
-- - lookback: Time before each evaluation that the metric covers; at least 1 second.
-- - pending_period: How long it must breach without a break before it fires; without a stored rule by default 0: at once.
-- - keep_firing_for: How long it must be clean before its alert is resolved; without a stored rule by default 0: at once.
-- - min_requests: Requests that the lookback must hold: with fewer, rates, percentiles and averages are no data; without a stored rule by default 0.
-- - on_no_data: What an alert does while the metric has no value; without a stored rule by default it keeps its state.
-- - service: The service to look at, or * for every service; without a stored rule by default every service.
-- - since: Start of the range; by default 24 hours ago.
-- - until: End of the range, included; by default now.
-- - step: Time from one evaluation to the next, at least 1 second; by default 1 minute.
create function analytics.preview_alert_rule(rule_id text DEFAULT NULL::text, metric text DEFAULT NULL::text, operator analytics.alert_operator DEFAULT NULL::analytics.alert_operator, threshold double precision DEFAULT NULL::double precision, lookback interval DEFAULT NULL::interval, pending_period interval DEFAULT NULL::interval, keep_firing_for interval DEFAULT NULL::interval, min_requests integer DEFAULT NULL::integer, on_no_data analytics.no_data_policy DEFAULT NULL::analytics.no_data_policy, service text DEFAULT NULL::text, since timestamp with time zone DEFAULT (now() - '24:00:00'::interval), until timestamp with time zone DEFAULT now(), step interval DEFAULT '00:01:00'::interval) returns SETOF analytics.alert_preview language plpgsql stable parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_viewer: execute

-- Ends an alert that fires, by hand: its resolved message is sent if its triggered one was. If the rule still breaches, the next evaluation begins a new alert; without data it does not. Doing it again changes nothing. An alert that is not there or is pending is an error (SQLSTATE 22023).
-- - alert_id: Number of the alert.
-- - comment: What to say about it; it stands in the alert and in its history.
-- - returns: The alert, resolved.
create function analytics.resolve_alert(alert_id bigint, comment text DEFAULT NULL::text) returns analytics.alerts language plpgsql volatile parallel unsafe security definer set search_path=pg_catalog, pg_temp
-- stacklens_operator: execute

-- Metrics over a range, one row for each service with events in it. Exact to the event while raw events are kept, to the finest kept bucket after that.
-- - since: Start of the range, included; by default 24 hours ago.
-- - until: End of the range, not included; by default now.
create function analytics.service_summary(since timestamp with time zone DEFAULT (now() - '24:00:00'::interval), until timestamp with time zone DEFAULT now()) returns SETOF analytics.service_metrics language sql stable parallel unsafe
-- stacklens_adhoc: execute
-- stacklens_viewer: execute

-- How services kept an objective over the last period, one row for each service with events in it. An objective outside 0..100 or a period that is not positive is an error (SQLSTATE 22023).
-- - service: Only this service; null (the default): all.
-- - period: How far back from now; by default 24 hours.
-- - objective: The availability aimed at, in percent, 0..100; by default 99.9.
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
create function internal.alert_text(rule_name text, service text, metric text, operator analytics.alert_operator, threshold double precision, lookback interval, value double precision) returns text language sql stable parallel safe
-- stacklens_adhoc: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- What would have happened to the alerts of a rule at each of the moments, in ascending order: one row a change of status or reason, as in alert_history. previous_status is NULL where an alert begins; where a breach begins, worst_at is the moment of it at which the metric is farthest beyond the threshold, for a percentile that with the largest share of requests beyond; NULL for == and !=. The value of a percentile is exact only in how it compares with the threshold.
create function internal.alert_timeline(metric text, operator analytics.alert_operator, threshold double precision, lookback interval, pending_period interval, keep_firing_for interval, min_requests integer, on_no_data analytics.no_data_policy, of_service text, moments timestamp with time zone[]) returns TABLE(service text, as_of timestamp with time zone, previous_status analytics.alert_status, status analytics.alert_status, reason analytics.alert_reason, value double precision, worst_at timestamp with time zone, worst_value double precision) language plpgsql stable parallel unsafe set search_path=pg_catalog, pg_temp set jit=off
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
create function internal.breaches(value double precision, operator analytics.alert_operator, threshold double precision) returns boolean language sql immutable parallel safe
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

-- Deletes resolved alerts, their history, past silences, rejected events and services that are older than analytics.retention keeps them; returns how many rows of each, history and silences among the alerts.
create function internal.clean_up(OUT alerts bigint, OUT rejected_events bigint, OUT services bigint) returns record language plpgsql volatile parallel unsafe set search_path=pg_catalog, pg_temp
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

-- Services that sent an event within the day before as_of, and since when that is so. For these, silence is a measured zero; all others are unknown.
create function internal.known_services(as_of timestamp with time zone) returns TABLE(service text, known_since timestamp with time zone) language sql stable parallel unsafe
-- stacklens_worker: execute

-- Position of a latency (ms) on the logarithmic axis of the latency histograms; 0 ms, which has no logarithm, counts as 0.001 ms.
create function internal.latency_histogram_axis(latency_ms double precision) returns double precision language sql immutable parallel safe
-- stacklens_adhoc: execute
-- stacklens_ingest: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Bin, 1..402, of the latency histograms in which a latency (ms) is counted.
create function internal.latency_histogram_bin(latency_ms double precision) returns integer language sql immutable parallel safe
-- stacklens_adhoc: execute
-- stacklens_ingest: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Value of a built-in metric over the lookback before each of the moments, for each service with events in it. services, if given, has as many elements: the one service that is wanted at each moment, or NULL for all. requests is NULL where min_requests does not apply. Exact where internal.series_level says so; with compared_with a percentile is exact only in how it compares with that, and share_above (0..1) is the part of the latencies in the bins above.
create function internal.metric_series(metric text, lookback interval, moments timestamp with time zone[], services text[] DEFAULT NULL::text[], compared_with double precision DEFAULT NULL::double precision) returns TABLE(as_of timestamp with time zone, service text, value double precision, requests bigint, share_above double precision) language plpgsql stable parallel unsafe security definer set search_path=pg_catalog, pg_temp set enable_nestloop=off set jit=off
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Deletes the messages that were sent and returns the next ones in their order, none when there are none or somebody else holds the lease. The holder renews it with internal.hold_alert_messages until they are sent.
create function internal.next_alert_messages(holder uuid, sent bigint[] DEFAULT '{}'::bigint[], max_messages integer DEFAULT 500) returns TABLE(id bigint, key text, message text) language plpgsql volatile parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_worker: execute

-- The state of an alert after the evaluation at as_of, which found a breach, clean, no_data, evaluation_failed or the end of the rule or service. Everything NULL from status on: there is no alert yet, and a breach begins one.
create function internal.next_alert_state(as_of timestamp with time zone, finding analytics.alert_reason, measured_value double precision, pending_period interval, keep_firing_for interval, on_no_data analytics.no_data_policy, status analytics.alert_status, reason analytics.alert_reason, value double precision, breaching_since timestamp with time zone, clean_since timestamp with time zone, frozen_at timestamp with time zone) returns TABLE(new_status analytics.alert_status, new_reason analytics.alert_reason, new_value double precision, new_breaching_since timestamp with time zone, new_clean_since timestamp with time zone, new_frozen_at timestamp with time zone) language sql stable parallel safe
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

-- The roll-up to read for windows of the lookback before each of the moments. Windows that begin at exact_since or later are exact; earlier ones are widened to whole buckets.
create function internal.series_level(moments timestamp with time zone[], lookback interval) returns TABLE(relation regclass, width interval, exact_since timestamp with time zone) language sql stable parallel unsafe security definer set search_path=pg_catalog, pg_temp
-- stacklens_viewer: execute
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

-- Metrics of one service or (NULL) of every one with events in [since, until); as exact as internal.window_rows. Rates in percent, latencies in ms.
create function internal.window_metrics(since timestamp with time zone, until timestamp with time zone, of_service text DEFAULT NULL::text) returns TABLE(service text, total_requests bigint, successful_requests bigint, failed_requests bigint, error_rate double precision, latency_count bigint, latency_min double precision, latency_p50 double precision, latency_p95 double precision, latency_p99 double precision, latency_max double precision, latency_mean double precision, unique_users bigint, unique_ips bigint, risk_count bigint, avg_risk_score double precision, high_risk_count bigint) language sql stable parallel unsafe security definer set search_path=pg_catalog, pg_temp set jit=off
-- stacklens_adhoc: execute
-- stacklens_viewer: execute
-- stacklens_worker: execute

-- Additive rows, several a service, of one service or (NULL) of all, that together cover [since, until): to the microsecond while the raw events of both edges are kept, and to the finest kept bucket, outwards, after that.
create function internal.window_rows(since timestamp with time zone, until timestamp with time zone, of_service text DEFAULT NULL::text) returns TABLE(service text, total_requests bigint, failed_requests bigint, latency_count bigint, latency_sum double precision, latency_min double precision, latency_max double precision, latency_histogram integer[], users bit, ips bit, risk_count bigint, risk_sum double precision, high_risk_count bigint) language plpgsql stable parallel unsafe set search_path=pg_catalog, pg_temp
-- stacklens_worker: execute

-- job: internal.refresh_rollups every 00:01:00 
