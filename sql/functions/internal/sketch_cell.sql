-- Which bit of the distinct-count sketch a value sets. The hash stands once: an argument that is repeated is hashed again.
-- Cell i of K = 24576 has probability proportional to exp(-i * R / K) with R = 8.1: from 3.3e-4 down to 1e-7.
create or replace function internal.sketch_cell(hash bigint)
returns integer
language sql
immutable
parallel safe
return floor(
  ln(1 - ((hash & 9007199254740991) / 9007199254740992::double precision) * 0.9996964604::double precision)
  / -0.00032958984375::double precision
)::integer;

comment on function internal.sketch_cell(bigint) is
  'Bit (0..24575) that a hashed value sets in a distinct-count sketch: cells of geometrically falling probability.';
