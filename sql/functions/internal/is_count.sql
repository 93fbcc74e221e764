-- Which built-in metrics count: they are 0 for a silent service, and true for any number of requests.
create or replace function internal.is_count(metric text)
returns boolean
language sql
immutable
parallel safe
return metric in ('error_count', 'total_requests', 'throughput', 'high_risk_count', 'unique_users');

comment on function internal.is_count(text) is
  'Whether a built-in metric is a count, which silence makes 0 and not unknown, and to which min_requests does not apply.';
