-- Which hypertables and continuous aggregates a tier of analytics.retention is.
create or replace view internal.retention_relations as
select 'raw'::analytics.retention_tier as tier, 'analytics.events'::regclass as relation
union all
select replace(name, 'endpoint_', '')::analytics.retention_tier, relation
from internal.rollups;

comment on view internal.retention_relations is 'The hypertables and continuous aggregates of each tier.';
