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
