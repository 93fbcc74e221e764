-- A short lease that its holder renews: a sender that waits for Kafka keeps it however long that takes, and one that crashed loses
-- it within seconds.
create or replace function internal.hold_alert_messages(holder uuid, lease interval default '10 s')
returns void
language sql
volatile
parallel unsafe
begin atomic
  update internal.alert_publisher
  set held_until = clock_timestamp() + hold_alert_messages.lease
  where alert_publisher.holder = hold_alert_messages.holder;
end;

comment on function internal.hold_alert_messages(uuid, interval) is
  'Renews the lease on sending alert messages, to be called every few seconds; a lease of 0 gives it back.';
