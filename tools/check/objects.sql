-- What a file under sql/ can make: functions, procedures, aggregates and views with their comments and grants, as text.
select p.oid::regprocedure::text as name, concat_ws(
  e'\n',
  case when p.prokind = 'a'
    then jsonb_pretty(to_jsonb(a) - 'agginitval' || jsonb_build_object('parallel', p.proparallel, 'start', md5(a.agginitval)))
    else pg_get_functiondef(p.oid)
  end,
  'comment: ' || obj_description(p.oid, 'pg_proc'),
  (select 'grants: ' || string_agg(acl::text, ' ' order by acl::text) from unnest(p.proacl) as acl)
) as definition
from pg_proc as p
left join pg_aggregate as a on a.aggfnoid = p.oid
where p.pronamespace in ('analytics'::regnamespace, 'internal'::regnamespace, 'alert_metrics'::regnamespace)
union all
select c.oid::regclass::text, concat_ws(
  e'\n',
  pg_get_viewdef(c.oid),
  'options: ' || c.reloptions::text,
  'comment: ' || obj_description(c.oid, 'pg_class'),
  (
    select string_agg(format('column %s: %s', attname, col_description(c.oid, attnum)), e'\n' order by attnum)
    from pg_attribute
    where attrelid = c.oid and attnum > 0
  ),
  (select 'grants: ' || string_agg(acl::text, ' ' order by acl::text) from unnest(c.relacl) as acl)
)
from pg_class as c
where c.relkind = 'v'
  and c.relnamespace in ('analytics'::regnamespace, 'internal'::regnamespace, 'alert_metrics'::regnamespace);
