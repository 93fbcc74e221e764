-- Merges histograms: the percentile of the sum is the percentile of all the events, which no average of percentiles is.
create or replace aggregate internal.histogram_sum(integer[]) (
  sfunc = internal.histogram_add,
  stype = integer[],
  combinefunc = internal.histogram_add,
  parallel = safe
);

comment on aggregate internal.histogram_sum(integer[]) is
  'Sum of histograms of the same shape, bin by bin; NULLs are left out, NULL for no histogram.';
