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
