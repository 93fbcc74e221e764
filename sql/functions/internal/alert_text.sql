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
