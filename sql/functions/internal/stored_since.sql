-- From where on a hypertable or continuous aggregate is whole: below the first chunk, retention has dropped rows.
create or replace function internal.stored_since(relation regclass)
returns timestamptz
language sql
stable
parallel safe
begin atomic
  select coalesce(min(chunks.range_start), '-infinity')
  from timescaledb_information.chunks
  where (format('%I.%I', hypertable_schema, hypertable_name)::regclass) = coalesce(
    (
      select format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)::regclass
      from timescaledb_information.continuous_aggregates
      where format('%I.%I', view_schema, view_name)::regclass = relation
    ),
    relation
  );
end;

comment on function internal.stored_since(regclass) is
  'Start of the oldest chunk of a hypertable or continuous aggregate; -infinity when it has none.';
