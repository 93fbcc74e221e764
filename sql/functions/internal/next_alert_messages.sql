-- One statement a batch: what was sent last time goes, what is to be sent now comes. Whoever finds the lease taken can leave: the
-- holder looks again after each batch, and gives the lease back in the transaction that found nothing. Should the holder have
-- crashed, a job looks after the messages once the lease is over.
create or replace function internal.next_alert_messages(
  holder uuid,
  sent bigint[] default '{}',
  max_messages integer default 500
)
returns table (
  id bigint,
  key text,
  message text
)
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  update internal.alert_publisher
  set holder = next_alert_messages.holder
  where holder = next_alert_messages.holder
    or held_until <= clock_timestamp();
  if not found then
    perform graphile_worker.add_job('publish_alert', run_at => held_until, job_key => 'publish_alert after the lease')
    from internal.alert_publisher
    where exists (select from internal.alert_messages);
    return;
  end if;
  perform internal.hold_alert_messages(next_alert_messages.holder);

  delete from internal.alert_messages where id = any (next_alert_messages.sent);

  return query
    select id, key, message
    from internal.alert_messages
    order by id
    limit next_alert_messages.max_messages;

  if not found then
    perform internal.hold_alert_messages(next_alert_messages.holder, lease => '0');
  end if;
end;
$$;

comment on function internal.next_alert_messages(uuid, bigint[], integer) is
  'Deletes the messages that were sent and returns the next ones in their order, none when there are none or somebody else holds '
  'the lease. The holder renews it with internal.hold_alert_messages until they are sent.';
