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
