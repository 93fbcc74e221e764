// The connection pool to Postgres, with TCP_NODELAY: without it a COPY transaction waits 80 ms for delayed acknowledgements.

import net from "node:net";
import postgres from "postgres";

export type Sql = postgres.Sql;

/** Opens a pool on DATABASE_URL. `name` is the application_name that pg_stat_activity shows; `settings` apply to its sessions. */
export function connect(databaseUrl: string, name: string, max = 4, settings: Record<string, string> = {}): Sql {
  return postgres(databaseUrl, {
    max,
    // No query here runs long enough to win back what compiling it costs.
    connection: { application_name: name, jit: "off", ...settings } as object,
    onnotice: () => {},
    connect_timeout: 10,
    // postgres.js passes its parsed options; `socket` is in its documentation but not in its types.
    ...({
      socket: ({ host, port, path }: { host: string[]; port: number[]; path?: string }) =>
        path ? net.connect({ path }) : net.connect({ host: host[0]!, port: port[0]!, noDelay: true }),
    } as object),
  });
}
