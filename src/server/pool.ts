// The connections that GraphQL uses. PostGraphile would make the pool itself, and write a stack on standard error for every
// connection that a restart of the database cuts.

import pg from "pg";
import { log } from "../log.ts";

export const SIZE = 10; // each root field of a query takes one
const CONNECT_MS = 5_000;

export function graphqlPool(connectionString: string): pg.Pool {
  const pool = new pg.Pool({
    connectionString,
    max: SIZE,
    connectionTimeoutMillis: CONNECT_MS,
    application_name: "stacklens server",
    ...({ pipeline: true } as object), // not in its types yet; transactions.ts says what for
  });
  // A query that is under way gets the error as well; without a listener the process would end.
  pool.on("connect", (client) => client.on("error", (error) => log.debug("a connection broke", { error })));
  pool.on("error", (error) => log.warn("an idle connection to the database broke", { error }));
  return pool;
}
