// The transactions of GraphQL. PostGraphile waits for BEGIN, for the settings of the request, for the statement and for COMMIT. Where
// nothing can be written, the first three go out together, and nobody waits for the last one: one round trip instead of four.

import type { Socket } from "node:net";
import type { Pool, PoolClient } from "pg";
import { createWithPgClient, makeWithPgClientViaPgClientAlreadyInTransaction } from "postgraphile/adaptors/pg";

type Adaptor = NonNullable<GraphileConfig.PgServiceConfiguration["adaptor"]>;
type WithPgClient = ReturnType<typeof createWithPgClient>;
type Settings = Record<string, string | undefined>;

const SETTINGS = {
  name: "settings",
  text: "select set_config(key, value, true) from json_each_text($1::json)",
};

/** The service with such transactions for what is read only. Its pool must be one with `pipeline: true`. */
export function pipelined<T extends GraphileConfig.PgServiceConfiguration>(service: T, pool: Pool): T {
  const inTurn = createWithPgClient({ pool });
  const withPgClient: WithPgClient = (settings, callback) =>
    settings?.transaction_read_only === "on" ? read(pool, settings, callback) : inTurn(settings, callback);
  const adaptor: Adaptor = { ...service.adaptor, createWithPgClient: () => withPgClient };
  return { ...service, adaptor };
}

/**
 * Runs the callback, whose first statement is sent together with what comes before it. Where the settings are refused, the
 * transaction has failed, and with it the statement.
 */
async function read<T>(pool: Pool, settings: Settings, callback: Parameters<WithPgClient>[1]): Promise<T> {
  const client = await pool.connect();
  const { stream } = (client as PoolClient & { connection: { stream: Socket } }).connection;
  stream.cork();
  const begun = [client.query("begin read only"), client.query({ ...SETTINGS, values: [JSON.stringify(settings)] })];
  const answer = makeWithPgClientViaPgClientAlreadyInTransaction(client, true)(null, callback);
  stream.uncork();
  try {
    return (await Promise.all([answer, ...begun]))[0] as T;
  } finally {
    client.query("commit").then(
      () => client.release(),
      (error) => client.release(error),
    );
  }
}
