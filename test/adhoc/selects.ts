// Queries that an operator would ask, with what they must answer; SERVICES and the events are those of queries.test.ts.

export const SELECTS: [name: string, sql: string][] = [
  [
    "a view with a filter and an order",
    "select bucket, service, total_requests, error_rate from metrics_1min where service = 'web' order by bucket desc limit 5;",
  ],
  [
    "a join of views",
    `select h.service, h.health, m.latency_p99
     from analytics.service_health as h
     left join analytics.metrics_5min as m on m.service = h.service and m.bucket > now() - interval '1 hour'
     where h.last_seen > now() - '1 day'::interval`,
  ],
  [
    "time_bucket over raw events",
    `select time_bucket('1 minute', time) as minute, service, count(*), count(*) filter (where level >= 'error') as failed
     from events where time > now() - interval '1 hour' group by 1, 2 having count(*) > 1 order by 1, 2`,
  ],
  [
    "exact percentiles",
    `select service, percentile_cont(array[0.5, 0.99]) within group (order by latency_ms) as exact, stddev(latency_ms)
     from events group by service`,
  ],
  [
    "a window function with a named window and a frame",
    `select service, bucket, total_requests - lag(total_requests) over w as change,
       avg(total_requests) over (w rows between 2 preceding and current row) as smooth
     from metrics_1min window w as (partition by service order by bucket)`,
  ],
  [
    "names by WITH, several and nested",
    `with busy as (select service, sum(total_requests) as total from metrics_1min group by service),
       top as materialized (select * from busy order by total desc nulls last limit 1)
     select *, (with one as (select 1 as x) select x from one) as one from top`,
  ],
  [
    "jsonb",
    `select attributes -> 'cart' ->> 'currency' as currency, attributes #>> '{cart,items,0}' as first,
       attributes @> '{"cart": {}}' as is_cart, jsonb_path_query_first(attributes, '$.cart.items[1]') as second
     from events where attributes ? 'cart'`,
  ],
  [
    "jsonb opened into rows",
    `select key, count(*) from events cross join lateral jsonb_each(attributes) as fields (key, value) group by key`,
  ],
  ["a function with named arguments", "select * from sla(service => 'web', period => '1 hour', objective => 99)"],
  ["a function with an enum", "select service, max(latency_p99) from metrics('one_minute') group by service"],
  ["a function over a range", "select * from analytics.service_summary(now() - interval '1 hour', now())"],
  ["alerts with their history", "select a.id, h.status from alerts a full join alert_history h on h.alert_id = a.id"],
  [
    "a time axis without gaps",
    `select axis, coalesce(total_requests, 0) from generate_series(
       date_trunc('minute', now()) - interval '5 minutes', date_trunc('minute', now()), '1 minute') as axis
     left join metrics_1min on bucket = axis and service = 'web' order by axis`,
  ],
  [
    "time_bucket_gapfill",
    `select time_bucket_gapfill('1 minute', time, now() - interval '5 minutes', now()) as minute, locf(avg(latency_ms))
     from events where time > now() - interval '5 minutes' and time < now() group by 1`,
  ],
  ["first and last", "select service, first(status_code, time), last(status_code, time) from events group by service"],
  [
    "sets and subqueries",
    `select service from services where service in (select service from events)
     union all (select 'none' where not exists (select from alerts where severity = any (array['info']::alert_severity[])))
     except select 'x' order by 1`,
  ],
  [
    "grouping sets",
    "select service, level, grouping(service), count(*) from events group by grouping sets ((service), (level), ())",
  ],
  ["rollup and cube", "select service, level, count(*) from events group by rollup (service, level)"],
  [
    "conditions of all kinds",
    `select case when status_code between 500 and 599 then 'failed' when endpoint ilike '/check%' then 'checkout' else 'other' end,
       greatest(1, 2), nullif(service, 'web'), service is distinct from 'web', endpoint ~ '^/[a-z]+$', not (level = 'info'),
       user_id is null, (latency_ms > 5) is true, coalesce(geo_country, '?')
     from events`,
  ],
  [
    "times of all kinds",
    `select extract(hour from time), time at time zone 'Europe/Berlin', to_char(time, 'HH24:MI'), age(now(), time), current_timestamp,
       date_bin('15 minutes', time, timestamptz '2020-01-01'), time::date, localtimestamp, overlay('abc' placing 'x' from 2)
     from events limit 3`,
  ],
  ["addresses", "select host(source_ip), source_ip << inet '10.0.0.0/8', family(source_ip) from events"],
  [
    "text",
    "select upper(service) || ':' || split_part(endpoint, '/', 2), substring(endpoint from 2 for 3), trim(' a ') from events",
  ],
  ["values", "values (1, 'a'), (2, 'b')"],
  ["a table", "table services"],
  ["a comment and a semicolon", "select 1 -- that is all\n; "],
  ["a dollar quote", "select $tag$it's; fine$tag$ as text"],
  ["unicode", `select 'Zürich ✓ 🐘' as "größe"`],
  [
    "zeros and empties",
    "select 0, false, '', 0.0, null, array[]::integer[], (array[1, 2])[0:1], '' || '' limit 1 offset 0",
  ],
];
