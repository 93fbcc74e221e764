-- Messages go through a table in the order of their ids, and not one a job: a job that fails is tried again later, and the next
-- one of the same alert would overtake it. Definer: who may acknowledge an alert may not write messages.
create or replace function internal.send_alert_messages()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
begin
  insert into internal.alert_messages (key, message)
  select alerts.rule_id || ':' || alerts.service, row_to_json(outgoing)::text
  from new_history
  join analytics.alerts on alerts.id = new_history.alert_id
  cross join lateral (
    select case
      when new_history.status = 'resolved' then 'resolved'
      when new_history.status = 'acknowledged' and new_history.previous_status = 'active' then 'acknowledged'
      when new_history.status = 'active'
        and (new_history.reason = 'silence_ended' or new_history.previous_status is distinct from 'active') then 'triggered'
    end as event
  ) as sent
  cross join lateral (
    select
      md5(json_build_array(
        alerts.rule_id, alerts.service, extract(epoch from alerts.started_at),
        array_position(array['triggered', 'acknowledged', 'resolved'], sent.event)
      )::text)::uuid as event_id,
      sent.event,
      alerts.id as alert_id,
      alerts.rule_id,
      alerts.rule_name,
      alerts.service,
      alerts.severity,
      alerts.metric,
      alerts.operator,
      alerts.threshold,
      alerts.value,
      initcap(sent.event) || ': ' || internal.alert_text(
        alerts.rule_name, alerts.service, alerts.metric, alerts.operator, alerts.threshold, alerts.lookback, alerts.value
      ) as message,
      alerts.triggered_at,
      alerts.resolved_at,
      alerts.evaluated_at
  ) as outgoing
  where alerts.notified_at is not null
    and sent.event is not null
  order by new_history.id;

  if found then
    -- no job key: two transactions that add the same key wait for each other, and an editor who thinks must not hold up alerts
    perform graphile_worker.add_job('publish_alert', priority => -10);
  end if;
  return null;
end;
$$;

comment on function internal.send_alert_messages() is
  'Trigger: writes the message to Kafka for alerts that were triggered, acknowledged or resolved, if they are not silenced. '
  'event_id is made of rule, service, start of the episode and place in it, the same however often a message is delivered.';

revoke all on function internal.send_alert_messages() from public;
