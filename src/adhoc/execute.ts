// Runs SQL so that it can only read, whatever it is: check.ts has let it pass, but nothing here relies on that. It runs as the
// ad-hoc login, in a transaction that is read-only and always rolled back, as the query of a cursor (a SELECT and nothing else, and
// no second statement, since the extended protocol takes one), which is read once, up to a number of rows and of bytes; then the
// session forgets all that was set.

import type { Duplex } from "node:stream";
import type { Pool, PoolClient, QueryArrayConfig, QueryConfig } from "pg";
import { LOGIN } from "./login.ts";
import { Refusal } from "./refusal.ts";
import { type Json, reader, type Type } from "./values.ts";

export type Answer = { columns: { name: string; type: string }[]; rows: Json[][]; truncated: boolean };

const BYTES = 4_000_000;
/** The server stops a statement after 5 s; what it cannot stop is left alone after this. */
const DEADLINE_MS = 8_000;
const CURSOR = "declare adhoc no scroll cursor for ";

/** One statement each, and values as Postgres writes them. */
const AS_TEXT = { queryMode: "extended", types: { getTypeParser: () => (text: string) => text } } as const;

/**
 * Runs one SELECT and answers at most maxRows rows.
 * @throws what Postgres says, or Refusal.
 */
export async function execute(pool: Pool, sql: string, maxRows: number): Promise<Answer> {
  const client = await pool.connect();
  const guard = watch(client);
  let broken: Error | undefined;
  try {
    await assertHarmless(client);
    await client.query("begin read only");
    await client.query({ ...AS_TEXT, text: CURSOR + sql } as QueryConfig);
    const { fields, rows } = await client.query<(string | null)[]>({
      ...AS_TEXT,
      rowMode: "array",
      text: `fetch forward ${maxRows + 1} from adhoc`,
    } as unknown as QueryArrayConfig);
    const types = await describe(client, fields);
    const readers = types.map(reader);
    return {
      columns: fields.map(({ name }, index) => ({ name, type: types[index]!.name })),
      rows: rows
        .slice(0, maxRows)
        .map((row) => row.map((text, index) => (text === null ? null : readers[index]!(text)))),
      truncated: rows.length > maxRows,
    };
  } catch (error) {
    throw guard.reason() ?? inOwnWords(error as Error & { position?: string });
  } finally {
    await client
      .query("rollback")
      .then(() => client.query("discard all"))
      .catch((error) => {
        broken = error;
      });
    guard.end();
    client.release(broken);
  }
}

/** Closes the connection when too much comes, or for too long. The server sees that within a second. */
function watch(client: PoolClient): { reason: () => Refusal | undefined; end: () => void } {
  const { stream } = (client as unknown as { connection: { stream: Duplex } }).connection;
  let reason: Refusal | undefined;
  let bytes = 0;
  const stop = (why: Refusal) => {
    reason ??= why;
    stream.destroy();
  };
  const count = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > BYTES)
      stop(
        new Refusal(`the answer has more than ${BYTES / 1e6} MB: ask for fewer columns or rows`, "RESULT_TOO_LARGE"),
      );
  };
  stream.on("data", count);
  const timer = setTimeout(() => stop(new Refusal("the query could not be stopped in time", "TIMEOUT")), DEADLINE_MS);
  return {
    reason: () => reason,
    end: () => {
      clearTimeout(timer);
      stream.off("data", count);
    },
  };
}

const harmless = new WeakSet<PoolClient>();

/** ADHOC_DATABASE_URL may name any login, and somebody may have given ours more than the migration did: neither is used. */
async function assertHarmless(client: PoolClient): Promise<void> {
  if (harmless.has(client)) return;
  const { rows } = await client.query(`
    select
      session_user as login,
      rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls
        or exists (select from pg_catalog.pg_auth_members where member = pg_roles.oid) as powerful
    from pg_catalog.pg_roles where rolname = session_user`);
  const { login, powerful } = rows[0];
  if (login !== LOGIN || powerful !== false)
    throw new Refusal(
      `ad-hoc queries are off: they run as ${LOGIN}, plain and a member of nothing, but the login is ${login === LOGIN ? "more than that" : login}`,
      "UNAVAILABLE",
    );
  harmless.add(client);
}

async function describe(
  client: PoolClient,
  fields: { dataTypeID: number; dataTypeModifier: number }[],
): Promise<Type[]> {
  if (fields.length === 0) return [];
  const { rows } = await client.query<Type>(
    `select
       pg_catalog.format_type(types.oid, case when modifier >= 0 then modifier end) as name,
       types.oid::integer,
       typelem::integer as element,
       typcategory as category
     from unnest($1::oid[], $2::integer[]) with ordinality as asked (oid, modifier, place)
     join pg_catalog.pg_type as types using (oid)
     order by place`,
    [fields.map(({ dataTypeID }) => dataTypeID), fields.map(({ dataTypeModifier }) => dataTypeModifier)],
  );
  return rows;
}

/** Positions as those of the query, not of the cursor before it. */
function inOwnWords(error: Error & { position?: string }): Error {
  const position = Number(error.position) - CURSOR.length;
  if (position > 0) error.message += ` (character ${position})`;
  return error;
}
