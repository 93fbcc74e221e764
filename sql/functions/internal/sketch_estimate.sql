-- How many distinct values set the bits of a sketch: Newton's method on expected fill = observed fill, in ln(n).
-- With K cells over the ratio exp(R) the standard error is sqrt(ln 2 * R / K) = 1.5 %, at every size.
-- Definer: its body names another function of schema internal, where readers of the views need not be let in.
create or replace function internal.sketch_estimate(sketch bit)
returns bigint
language plpgsql
immutable
parallel safe
strict
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  cells constant double precision := 24576;
  span constant double precision := 8.1; -- R
  p_max constant double precision := 8.1 / 24576 / 0.9996964604;
  fill constant double precision := bit_count(sketch) * span / cells;
  x double precision; -- n * p_max
begin
  if fill = 0 then
    return 0;
  end if;
  x := case when fill < 1 then fill else exp(least(fill, span) - 0.5772156649) end;
  for step in 1..5 loop
    x := x * exp(least(1, greatest(-1,
      (fill - internal.exponential_integral(x) + internal.exponential_integral(x * exp(-span)))
      / (exp(-x * exp(-span)) - exp(-x)))));
  end loop;
  return round(x / p_max);
end;
$$;

comment on function internal.sketch_estimate(bit) is
  'Estimated number of distinct values in a sketch (standard error 1.5 %, to some 10 million); 0 for an empty one. '
  'Linear counting (Whang et al., 1990) over cells of geometrically falling probability, as in multiresolution bitmaps '
  '(Estan, Varghese, Fisk, 2003).';

revoke all on function internal.sketch_estimate(bit) from public;
