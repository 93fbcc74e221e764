-- Ein(x) = integral from 0 to x of (1 - exp(-t)) / t: the expected fill of a sketch whose cells are log-uniform.
create or replace function internal.exponential_integral(x double precision)
returns double precision
language sql
immutable
parallel safe
return case
  when x < 1 then x * (0.99999193 + x * (-0.24991055 + x * (0.05519968 + x * (-0.00976004 + x * 0.00107857))))
  else ln(x) + 0.5772156649 + case
    when x > 50 then 0
    else exp(-x) / x
      * (0.2677737343 + x * (8.6347608925 + x * (18.0590169730 + x * (8.5733287401 + x))))
      / (3.9584969228 + x * (21.0996530827 + x * (25.6329561486 + x * (9.5733223454 + x))))
  end
end;

comment on function internal.exponential_integral(double precision) is
  'Complementary exponential integral Ein(x) for x >= 0, absolute error below 1e-6. '
  'Formulas 5.1.53 and 5.1.56 of Abramowitz and Stegun, Handbook of Mathematical Functions.';
