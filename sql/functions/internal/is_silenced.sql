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
