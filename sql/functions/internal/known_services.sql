-- Which services a rule for * expects to hear from. Bounded, so that a service that was switched off does not alert for ever.
create or replace function internal.known_services(as_of timestamptz)
returns table (service text, known_since timestamptz)
language sql
stable
parallel unsafe
begin atomic
  select services.service, services.known_since
  from analytics.services
  where services.first_seen <= as_of
    and services.last_seen > as_of - interval '1 day';
end;

comment on function internal.known_services(timestamptz) is
  'Services that sent an event within the day before as_of, and since when that is so. For these, silence is a measured zero; all '
  'others are unknown.';
