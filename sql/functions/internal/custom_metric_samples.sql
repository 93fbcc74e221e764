-- Calls the metrics that users wrote. A failure is theirs alone: it is written to the rules that use the metric, and whoever
-- evaluates goes on. A metric that runs into the statement_timeout of the caller rests for a minute, so that it delays the other
-- alerts once a minute and not each time.
create or replace function internal.custom_metric_samples(as_of timestamptz)
returns setof internal.metric_sample
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
  time_limit constant bigint := (select setting from pg_settings where name = 'statement_timeout'); -- ms, 0: none
  out_of_time boolean := false;
  used record;
  samples internal.metric_sample[];
  failure text;
begin
  for used in
    select rules.metric, rules.lookback, rests.until > clock_timestamp() as resting
    from analytics.alert_rules as rules
    left join internal.alert_metric_rests as rests on rests.metric = rules.metric and rests.lookback = rules.lookback
    where rules.enabled
      and rules.metric not in (select name from internal.alert_metrics() where builtin)
    group by rules.metric, rules.lookback, rests.until
    order by rests.until nulls first, rules.metric, rules.lookback
  loop
    samples := null;
    failure := case
      when used.resting then format('it took longer than %s ms and rests for a minute', time_limit)
      when out_of_time then 'another metric took all the time there was'
    end;

    if failure is null then
      begin
        samples := array(select sample from internal.call_alert_metric(used.metric, used.lookback, as_of) as sample);
      exception
        when query_canceled then
          -- The timeout strikes once a statement, and its clock may have started a little before statement_timestamp. Any other
          -- cancel is not the fault of the metric.
          if time_limit = 0 or clock_timestamp() < statement_timestamp() + 0.8 * time_limit * interval '1 ms' then
            raise;
          end if;
          out_of_time := true;
          failure := format('it took longer than %s ms and rests for a minute', time_limit);
          insert into internal.alert_metric_rests (metric, lookback, until)
          values (used.metric, used.lookback, clock_timestamp() + interval '1 minute')
          on conflict (metric, lookback) do update set until = excluded.until;
        when others then
          failure := sqlerrm;
      end;
    end if;

    if failure is null then
      return query select * from unnest(samples);
    end if;
    update analytics.alert_rules as rules
    set last_error = failure, failing_since = case when failure is not null then coalesce(rules.failing_since, as_of) end
    -- a rule that somebody is editing is not waited for
    where rules.id in (
      select id
      from analytics.alert_rules
      where enabled and metric = used.metric and lookback = used.lookback and last_error is distinct from failure
      for update skip locked
    );
  end loop;
end;
$$;

comment on function internal.custom_metric_samples(timestamptz) is
  'Values of the metrics of schema alert_metrics that enabled rules use. A metric that fails is left out, and its rules get '
  'last_error and failing_since.';
