-- Where a latency falls on the histogram's axis. One place for the axis: ln(ms), 400 bins from 0.1 ms to 10 min, so that a
-- bin is 3.98 % wide and its middle is within 1.97 % of every value in it.
create or replace function internal.latency_histogram_axis(latency_ms double precision)
returns double precision
language sql
immutable
parallel safe
return ln(greatest(latency_ms, 0.001::double precision));

comment on function internal.latency_histogram_axis(double precision) is
  'Position of a latency (ms) on the logarithmic axis of the latency histograms; 0 ms, which has no logarithm, counts as 0.001 ms.';
