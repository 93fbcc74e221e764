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
