// The connections of ad-hoc queries: another login than that of the API, and few.

import pg from "pg";
import { log } from "../log.ts";

export const LOGIN = "stacklens_adhoc";
const CONNECTIONS = 2;
const WAIT_MS = 2_000; // for one of them

/** The URL of the same database for the ad-hoc login, without the password of the other one. */
export function adhocUrl(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.username = LOGIN;
  url.password = "";
  url.searchParams.delete("password");
  // Without a host, as for a socket, a URL has no place for a user.
  if (url.username !== LOGIN || url.searchParams.has("user")) url.searchParams.set("user", LOGIN);
  return url.href;
}

/** Opens the pool. Connections are made when they are needed. */
export function adhocPool(connectionString: string): pg.Pool {
  const pool = new pg.Pool({
    connectionString,
    max: CONNECTIONS,
    connectionTimeoutMillis: WAIT_MS,
    idleTimeoutMillis: 10_000,
    application_name: "stacklens adhoc",
  });
  // The query that is under way gets the error as well; without a listener the process would end.
  pool.on("connect", (client) => client.on("error", (error) => log.debug("an ad-hoc connection broke", { error })));
  pool.on("error", (error) => log.debug("an idle ad-hoc connection broke", { error }));
  return pool;
}
