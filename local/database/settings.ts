// The session state of one client: its role and its settings, put in place whenever the client takes a turn after another one.
import type { Step } from "./engine.ts";

export interface Identity {
  oid: number;
  role: string;
}

export interface State {
  identity: Identity;
  /** From its first message and from its role; what RESET goes back to. */
  startSettings: Map<string, string>;
  /** What it has set since. */
  settings: Map<string, string>;
}

export const superuser: Identity = { oid: 10, role: "postgres" };

export const quoteName = (name: string) => `"${name.replaceAll('"', '""')}"`;
export const quote = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** Steps that give a client the session as it left it; `previous` is the role that is logged in now. */
export function enter(client: State, previous: string | undefined): Step[] {
  const { identity } = client;
  const settings = new Map([...client.startSettings, ...client.settings]);
  const steps: Step[] = ["reset session authorization; reset role; reset all"];
  if (previous !== identity.role) steps.push({ oid: identity.oid, name: identity.role });
  if (settings.size > 0) {
    const calls = [...settings].map(([name, value]) => `pg_catalog.set_config(${quote(name)}, ${quote(value)}, false)`);
    steps.push(`select ${calls.join(", ")}`);
  }
  return steps;
}

/**
 * SQL that reads what a client has set in this session, to be set again later; both roles come last, in this order. Settings
 * like my.own are in no list of Postgres: what looks like one in the client's messages is asked for by its name.
 */
export function readSettings(messages: string, known: Iterable<string>): string {
  const names = new Set([...known, ...(messages.match(/\b[a-z_]\w*\.[a-z_][\w.]*/gi) ?? [])]);
  return `
    select name, setting from pg_catalog.pg_settings where source = 'session' and name not like 'transaction\\_%'
    union all select name, pg_catalog.current_setting(name, true)
      from pg_catalog.unnest(array[${[...names].map(quote).join(", ")}]::text[]) name
      where pg_catalog.current_setting(name, true) <> '' and name not in (select name from pg_catalog.pg_settings)
    union all select 'session_authorization', session_user::text
    union all select 'role', pg_catalog.current_setting('role')`;
}

/** Whether SQL may change what outlives its transaction: SET, of which a command tag tells, too, or set_config(…, false). */
export function mayChangeSettings(sql: string): boolean {
  const count = (pattern: RegExp) => sql.match(pattern)?.length ?? 0;
  const lasting = sql.replace(/\bset\s+(local|transaction|constraints)\b/gi, "");
  return /\b(set|reset|discard)\b/i.test(lasting) || count(/\bset_config\b/gi) > count(/,\s*true\s*\)/gi);
}
