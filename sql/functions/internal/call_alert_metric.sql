-- One call of a metric that a user wrote. What it raises is the fault of the metric; who calls it decides what that means.
create or replace function internal.call_alert_metric(metric text, lookback interval, as_of timestamptz)
returns setof internal.metric_sample
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
  takes_as_of constant boolean := (select m.takes_as_of from internal.alert_metrics() as m where m.name = metric);
  samples internal.metric_sample[];
  unnamed bigint;
  repeated bigint;
begin
  -- for functions that want the exact moment but take no argument for it
  perform set_config('stacklens.as_of', as_of::text, true);

  execute format(
    'select
       array_agg(row(%L, $1, service, nullif(value, ''NaN''), null, true, true)::internal.metric_sample),
       count(*) filter (where service is null),
       count(service) - count(distinct service)
     from alert_metrics.%I(%s)',
    metric, metric, case when takes_as_of then '$1, $2' else '$1' end
  )
  into samples, unnamed, repeated
  using lookback, as_of;

  if unnamed > 0 then
    raise exception using errcode = 'data_exception', message = 'it returned a row without a service';
  elsif repeated > 0 then
    raise exception using errcode = 'data_exception', message = 'it returned more than one row for a service';
  end if;
  return query select * from unnest(samples);
end;
$$;

comment on function internal.call_alert_metric(text, interval, timestamptz) is
  'Values of a function of schema alert_metrics, one a service; as_of is its second argument if it has one, and the setting '
  'stacklens.as_of. Error 22000 for a row without a service or a second one for the same.';
