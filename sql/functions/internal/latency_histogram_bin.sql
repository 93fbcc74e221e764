-- Where histogram() counts a latency, which uses the same width_bucket.
create or replace function internal.latency_histogram_bin(latency_ms double precision)
returns integer
language sql
immutable
parallel safe
return width_bucket(internal.latency_histogram_axis(latency_ms), ln(0.1::double precision), ln(6e5::double precision), 400) + 1;

comment on function internal.latency_histogram_bin(double precision) is
  'Bin, 1..402, of the latency histograms in which a latency (ms) is counted.';
