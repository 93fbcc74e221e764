-- The login that adhocQuery runs as: member of nothing, and whatever the check of the syntax may miss, these bounds hold.
-- What is set here a session can set otherwise for itself, except temp_file_limit; so src/adhoc/execute.ts leaves a query no way to
-- set anything before it runs. Like every login of StackLens it has no password of its own:
-- alter role stacklens_adhoc password '...', and then ADHOC_DATABASE_URL.
do $$
declare
  setting record;
  present text[];
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'stacklens_adhoc') then
    begin
      execute 'create role stacklens_adhoc login noinherit connection limit 10';
    exception
      when duplicate_object or unique_violation then
        null; -- made by a migration of another database of this server just now
      when insufficient_privilege then
        raise exception using
          errcode = 'insufficient_privilege',
          message = format(
            'role stacklens_adhoc is missing and %s may not create roles: let an administrator run psql -f sql/roles/adhoc.sql, then migrate again',
            current_user
          );
    end;
  end if;

  select coalesce(setconfig, '{}')
  into present
  from pg_catalog.pg_roles
  left join pg_catalog.pg_db_role_setting on setrole = pg_roles.oid and setdatabase = 0
  where rolname = 'stacklens_adhoc';

  for setting in
    select name, value
    from (
      values
        ('search_path', 'analytics, public', 0),
        ('default_transaction_read_only', 'on', 0),
        ('statement_timeout', '5s', 0),
        ('lock_timeout', '1s', 0),
        ('idle_in_transaction_session_timeout', '5s', 0),
        ('idle_session_timeout', '1min', 0),
        ('transaction_timeout', '15s', 170000),
        ('client_connection_check_interval', '1s', 0), -- who has left is not worked for
        ('work_mem', '16MB', 0),
        ('hash_mem_multiplier', '1', 0),
        ('temp_file_limit', '256MB', 0),
        ('max_parallel_workers_per_gather', '0', 0),
        ('jit', 'off', 0),
        ('standard_conforming_strings', 'on', 0), -- as the parser of src/adhoc reads strings
        ('TimeZone', 'UTC', 0)
    ) as settings (name, value, since)
    where current_setting('server_version_num')::integer >= since
      and name || '=' || value <> all (present)
  loop
    begin
      execute format('alter role stacklens_adhoc set %s = %s', setting.name,
        case setting.name when 'search_path' then setting.value else quote_literal(setting.value) end);
    exception
      when insufficient_privilege or object_not_in_prerequisite_state or feature_not_supported then
        raise notice 'stacklens_adhoc goes without %: %', setting.name, sqlerrm;
    end;
  end loop;
end;
$$;

grant usage on schema analytics to stacklens_adhoc;

grant select on
  analytics.active_alerts,
  analytics.alert_history,
  analytics.alert_rules,
  analytics.alerts,
  analytics.endpoint_metrics_5min,
  analytics.events,
  analytics.high_risk_events,
  analytics.metrics_1hour,
  analytics.metrics_1min,
  analytics.metrics_5min,
  analytics.performance_trend,
  analytics.rejected_events,
  analytics.retention,
  analytics.service_health,
  analytics.services,
  analytics.silences,
  analytics.slowest_services,
  analytics.top_error_services
to stacklens_adhoc;

grant execute on function
  analytics.alert_stats,
  analytics.metrics,
  analytics.service_summary,
  analytics.sla
to stacklens_adhoc;

-- What those views and functions call with the rights of the reader: it computes, or is a definer function. There is no usage of
-- the schema, so that no query calls it itself.
do $$
declare
  routine regprocedure;
begin
  for routine in
    select oid
    from pg_catalog.pg_proc
    where pronamespace = 'internal'::regnamespace
      and (provolatile = 'i' or proname in ('alert_text', 'window_metrics'))
  loop
    execute format('grant execute on routine %s to stacklens_adhoc', routine);
  end loop;
end;
$$;
