-- The roles of StackLens. They belong to the whole server, so they are made only where they are missing, and never changed.
-- The migration includes this file. On a server where the one who migrates may not create roles, an administrator runs it once:
-- psql -f sql/roles/create.sql
-- Logins have no password: give them one (alter role stacklens_server password ...), or let pg_hba.conf say how they come in.
do $$
declare
  role record;
  membership record;
begin
  for role in
    select *
    from (
      values
        ('stacklens_owner', 'login'), -- migrates, and owns what the migrations make
        ('stacklens_ingest', 'login'),
        ('stacklens_worker', 'login'),
        ('stacklens_viewer', 'nologin'),
        ('stacklens_operator', 'nologin'),
        ('stacklens_server', 'login noinherit') -- may do nothing by itself, only become a viewer or an operator
    ) as roles (name, attributes)
    where not exists (select from pg_catalog.pg_roles where rolname = name)
    order by name
  loop
    begin
      execute format('create role %I %s', role.name, role.attributes);
    exception
      when duplicate_object or unique_violation then
        null; -- made by a migration of another database of this server just now
      when insufficient_privilege then
        raise exception using
          errcode = 'insufficient_privilege',
          message = format(
            'role %s is missing and %s may not create roles: let an administrator run psql -f sql/roles/create.sql, then migrate again',
            role.name, current_user
          );
    end;
  end loop;

  for membership in
    select *
    from (
      values
        ('stacklens_viewer', 'stacklens_operator'),
        ('stacklens_viewer', 'stacklens_server'),
        ('stacklens_operator', 'stacklens_server'),
        ('stacklens_worker', 'stacklens_owner'), -- the worker has the roll-ups, whose policies the owner sets
        ('stacklens_worker', current_user)
    ) as memberships (granted, member)
    where granted <> member
      and not exists (
        select
        from pg_catalog.pg_auth_members
        where roleid = granted::regrole and pg_auth_members.member = memberships.member::regrole
      )
      -- who is a superuser needs none
      and not (member = current_user and pg_has_role(current_user, granted, 'usage'))
  loop
    begin
      execute format('grant %I to %I', membership.granted, membership.member);
    exception
      when duplicate_object or unique_violation then
        null;
      when insufficient_privilege then
        raise exception using
          errcode = 'insufficient_privilege',
          message = format(
            '%s is no member of %s and %s may not change that: let an administrator run psql -f sql/roles/create.sql, then migrate again',
            membership.member, membership.granted, current_user
          );
    end;
  end loop;
end;
$$;
