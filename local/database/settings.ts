// The session state of one client: its role and its settings, put in place whenever the client takes a turn after another one.
import type { Step } from "./engine.ts";

export interface Identity {
  oid: number;
  role: string;
}

export const superuser: Identity = { oid: 10, role: "postgres" };

export const quoteName = (name: string) => `"${name.replaceAll('"', '""')}"`;
export const quote = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** Steps that give a client the session as it left it; `previous` is the role that is logged in now. */
export function enter(identity: Identity, previous: string | undefined, settings: Map<string, string>): Step[] {
  const steps: Step[] = ["reset session authorization; reset role; reset all"];
  if (previous !== identity.role) steps.push({ oid: identity.oid, name: identity.role });
  if (settings.size > 0) {
    const calls = [...settings].map(([name, value]) => `pg_catalog.set_config(${quote(name)}, ${quote(value)}, false)`);
    steps.push(`select ${calls.join(", ")}`);
  }
  return steps;
}

/** What a client has set in this session and what therefore must be set again; both roles come last, in this order. */
export const readSettings = `
  select name, setting from pg_catalog.pg_settings where source = 'session' and name not like 'transaction\\_%'
  union all select 'session_authorization', session_user::text
  union all select 'role', pg_catalog.current_setting('role')`;

/** Whether SQL may change what outlives its transaction. SET itself is also told by its command tag. */
export function mayChangeSettings(sql: string): boolean {
  const lasting = sql.replace(/\bset\s+(local|transaction|constraints)\b/gi, "");
  return /\b(set|reset|discard)\b/i.test(lasting) || /\bset_config\b(?!.*,\s*true\s*\))/is.test(sql);
}
