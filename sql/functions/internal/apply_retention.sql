-- The only place where retention and columnstore policies are set, so that they cannot contradict the ladder.
create or replace function internal.apply_retention()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  tier record;
  problem text;
begin
  select format('%s must be kept %s longer than %s (%s), not %s', upper.tier, step.room, lower.tier, lower.keep, upper.keep)
  into problem
  from (
    values
      ('raw'::analytics.retention_tier, '10s'::analytics.retention_tier, interval '1 minute'),
      ('10s', '1min', interval '5 minutes'),
      ('1min', '5min', interval '1 hour'),
      ('5min', '1hour', interval '1 hour')
  ) as step (lower_tier, upper_tier, room)
  join analytics.retention as lower on lower.tier = lower_tier
  join analytics.retention as upper on upper.tier = upper_tier
  where upper.keep < lower.keep + step.room
  limit 1;
  if problem is not null then
    raise exception using
      errcode = 'check_violation',
      message = 'retention: ' || problem,
      hint = 'Each level is made from the one below and must outlive it: raw < 10s < 1min < 5min < 1hour.';
  end if;

  select 'raw must be kept for at least 1 hour, not ' || keep into problem
  from analytics.retention
  where retention.tier = 'raw' and keep < interval '1 hour';
  if problem is not null then
    raise exception using errcode = 'check_violation', message = 'retention: ' || problem;
  end if;

  if (select count(*) from analytics.retention) < 7 then
    raise exception using
      errcode = 'check_violation',
      message = 'retention: a tier is missing',
      hint = 'Change a row instead of deleting it; the tiers are fixed.';
  end if;

  for tier in
    select relations.relation, retention.keep, retention.compress_after
    from analytics.retention
    join internal.retention_relations as relations using (tier)
  loop
    perform public.remove_retention_policy(tier.relation, if_exists => true);
    perform public.add_retention_policy(tier.relation, drop_after => tier.keep, schedule_interval => interval '10 minutes');
    perform public.remove_compression_policy(tier.relation, if_exists => true);
    if tier.compress_after is not null then
      perform public.add_compression_policy(
        tier.relation, compress_after => tier.compress_after, schedule_interval => interval '10 minutes'
      );
    end if;
  end loop;
  return null;
end;
$$;

comment on function internal.apply_retention() is
  'Trigger: refuses a ladder in which a roll-up would be refreshed over dropped data (23514), then sets the policies.';
