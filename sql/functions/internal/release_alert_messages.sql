-- For a sender that cannot go on: without it nobody could for the rest of the lease.
create or replace function internal.release_alert_messages(holder uuid)
returns void
language sql
volatile
begin atomic
  update internal.alert_publisher
  set holder = null, held_until = '-infinity'
  where alert_publisher.holder = release_alert_messages.holder;
end;

comment on function internal.release_alert_messages(uuid) is
  'Gives back the lease on sending alert messages, so that another worker need not wait until it ends.';
