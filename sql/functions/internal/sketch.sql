-- Builds a sketch: a call of set_bit a value, 0.25 us. The literal of the empty sketch is 24576 zeros, hence the execute.
do $$
begin
  execute format(
    'create or replace aggregate internal.sketch(integer, integer) (
       sfunc = set_bit, stype = bit, initcond = %L, combinefunc = bitor, parallel = safe
     )',
    repeat('0', 24576)
  );
end;
$$;

comment on aggregate internal.sketch(integer, integer) is
  'Distinct-count sketch of the cells given as first argument (internal.sketch_cell); the second argument is always 1. '
  'NULL cells are left out. Sketches merge with bit_or and are read by internal.sketch_estimate.';
