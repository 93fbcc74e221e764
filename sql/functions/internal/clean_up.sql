-- Retention of what is not a hypertable; those have policies.
create or replace function internal.clean_up(
  out alerts bigint,
  out rejected_events bigint,
  out services bigint
)
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
  alerts_since constant timestamptz := now() - (select keep from analytics.retention where tier = 'alerts');
  rejects_since constant timestamptz := now() - (select keep from analytics.retention where tier = 'rejected_events');
  services_since constant timestamptz := now() - (select max(keep) from analytics.retention);
begin
  with
    old_alerts as (
      delete from analytics.alerts where status = 'resolved' and resolved_at < alerts_since returning 1
    ),
    -- the history of an alert that is still open stays whole
    old_history as (
      delete from analytics.alert_history as history
      where as_of < alerts_since
        and not exists (
          select from analytics.alerts
          where alerts.id = history.alert_id and (alerts.status <> 'resolved' or alerts.resolved_at >= alerts_since)
        )
      returning 1
    ),
    old_silences as (
      delete from analytics.silences where ends_at < alerts_since returning 1
    ),
    old_rejects as (
      delete from analytics.rejected_events where received_at < rejects_since returning 1
    ),
    old_services as (
      delete from analytics.services where last_seen < services_since returning 1
    )
  select
    (select count(*) from old_alerts) + (select count(*) from old_history) + (select count(*) from old_silences),
    (select count(*) from old_rejects),
    (select count(*) from old_services)
  into alerts, rejected_events, services;
end;
$$;

comment on function internal.clean_up() is
  'Deletes resolved alerts, their history, past silences, rejected events and services that are older than analytics.retention '
  'keeps them; returns how many rows of each, history and silences among the alerts.';
