-- For subscriptions: who listens hears of a change when it is committed. Ids only, since anybody in the database may listen. A
-- notification holds at most 8000 bytes: 300 ids of up to 19 digits.
create or replace function internal.notify_alert_changes()
returns trigger
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_notify('alert_changes', string_agg(id::text, ',' order by id))
  from (select id, (row_number() over (order by id) - 1) / 300 as part from new_history) as parts
  group by part
  order by part;
  return null;
end;
$$;

comment on function internal.notify_alert_changes() is
  'Trigger: sends the ids of new rows of alert_history to the channel alert_changes, when the transaction commits.';

revoke all on function internal.notify_alert_changes() from public;
