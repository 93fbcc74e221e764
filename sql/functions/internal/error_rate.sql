-- The one definition of the error rate.
create or replace function internal.error_rate(failed bigint, total bigint)
returns double precision
language sql
immutable
parallel safe
return 100.0::double precision * failed / nullif(total, 0);

comment on function internal.error_rate(bigint, bigint) is
  'Failed requests as percent (0..100) of all; NULL, not 0, when there are none.';
