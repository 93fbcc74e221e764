// Who a client is: its role and the settings that it starts with, as PostgreSQL takes them from its first message and the role.
import { type Client, type Database, newClient, newGateway, type Rows } from "./database.ts";
import { quote } from "./settings.ts";

/** What a client is told at its login, as PostgreSQL does. */
const reported = `server_version server_encoding client_encoding application_name default_transaction_read_only
  in_hot_standby is_superuser DateStyle IntervalStyle TimeZone integer_datetimes standard_conforming_strings
  scram_iterations`.split(/\s+/);

const readReported = `
  select name, setting from pg_catalog.pg_settings
  where name operator(pg_catalog.=) any (array[${reported.map(quote).join(", ")}])
  union all select 'session_authorization', session_user::pg_catalog.text`;

const readRole = (name: string) => `
  select oid, rolcanlogin, rolconnlimit,
    (select array_to_string(array_agg(option), e'\\n') from pg_db_role_setting, unnest(setconfig) option
      where setrole in (0, pg_roles.oid) and setdatabase in (0, 1)
        -- they are set as the role itself: what only a superuser sets, such as temp_file_limit, is left out
        and not exists (select from pg_settings where name = split_part(option, '=', 1) and context = 'superuser'))
  from pg_roles where rolname = ${quote(name)}`;

/** A login that is refused. */
export interface Refusal {
  code: string;
  text: string;
}

/** The settings that a client asks for in its first message, in `options` too. */
function startSettings(parameters: Map<string, string>): Map<string, string> {
  const settings = new Map(parameters);
  for (const other of ["user", "database", "options", "replication"]) settings.delete(other);
  for (const [, key, value] of (parameters.get("options") ?? "").matchAll(/(?:-c\s*|--)([\w.-]+)=((?:\\.|\S)*)/g)) {
    settings.set(key!.replaceAll("-", "_"), value!.replaceAll(/\\(.)/g, "$1"));
  }
  return settings;
}

/** Logs a client in; it is among the database's clients then, and must be told what is in `status`. */
export async function login(
  database: Database,
  parameters: Map<string, string>,
): Promise<{ database: Database; client: Client; status: Rows } | Refusal> {
  const user = parameters.get("user") ?? "";
  const settings = startSettings(parameters);
  const client = newClient({ oid: 0, role: user }, settings);
  const refuse = (code: string, text: string): Refusal => {
    database.clients.delete(client);
    return { code, text };
  };
  database.clients.add(client);
  await database.turns.acquire(client);
  try {
    const [role] = await database.ask(newGateway(), readRole(user));
    if (!role) return refuse("28000", `role "${user}" does not exist`);
    const [oid, mayLogIn, limit, options] = role;
    if (mayLogIn !== "t") return refuse("28000", `role "${user}" is not permitted to log in`);
    const same = [...database.clients].filter(({ identity }) => identity.role === user).length;
    if (Number(limit) >= 0 && same > Number(limit)) return refuse("53300", `too many connections for role "${user}"`);
    client.identity.oid = Number(oid);
    for (const [, key, value] of (options ?? "").matchAll(/^([\w.]+)=(.*)$/gm)) {
      if (!settings.has(key!)) settings.set(key!, value!);
    }
    return { database, client, status: await database.ask(client, readReported) };
  } catch (reason) {
    const [code, text] = (reason as Error).message.split(/: (.*)/s);
    return refuse(code!, text!);
  } finally {
    database.turns.release(client);
  }
}
