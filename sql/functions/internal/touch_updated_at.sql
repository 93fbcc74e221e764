-- For tables that people edit by hand.
create or replace function internal.touch_updated_at()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

comment on function internal.touch_updated_at() is 'Trigger: sets updated_at to the time of the change.';
