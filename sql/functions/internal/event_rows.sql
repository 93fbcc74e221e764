-- Raw events in the shape of a roll-up row; the same expressions as in internal.metrics_10s_v1.
create or replace function internal.event_rows(since timestamptz, until timestamptz)
returns table (
  service text,
  total_requests bigint,
  failed_requests bigint,
  latency_count bigint,
  latency_sum double precision,
  latency_min double precision,
  latency_max double precision,
  latency_histogram integer[],
  users bit,
  ips bit,
  risk_count bigint,
  risk_sum double precision,
  high_risk_count bigint
)
language sql
stable
parallel safe
begin atomic
  select
    events.service,
    count(*),
    count(*) filter (where events.level >= 'error'),
    count(events.latency_ms),
    sum(events.latency_ms),
    min(events.latency_ms),
    max(events.latency_ms),
    histogram(internal.latency_histogram_axis(events.latency_ms), ln(0.1::double precision), ln(6e5::double precision), 400)
      filter (where events.latency_ms is not null), -- it takes NULL for 0
    internal.sketch(internal.sketch_cell(hashtextextended(events.user_id, 0)), 1),
    internal.sketch(internal.sketch_cell(hashinetextended(events.source_ip, 0)), 1),
    count(events.business_risk_score),
    sum(events.business_risk_score),
    count(*) filter (where events.business_risk_score > 0.7)
  from analytics.events
  where events.time >= since and events.time < until
  group by events.service;
end;

comment on function internal.event_rows(timestamptz, timestamptz) is
  'The raw events of [since, until) as one additive row a service.';
