// Runs migrations/current.sql once, in one transaction on one connection. graphile-migrate's own `current` holds a lock on one
// connection while a second one does the work; what it stores about the last run is the same.

import { readFileSync } from "node:fs";
import { compile, type Settings } from "graphile-migrate";
import { connect } from "../../src/db.ts";

/** Does nothing when current.sql is what ran last. An error of its SQL has the compiled text as `body`. */
export async function runCurrent(settings: Settings): Promise<void> {
  const file = `${settings.migrationsFolder}/current.sql`;
  const body = await compile(settings, readFileSync(file, "utf8"), { filename: file });
  const sql = connect(settings.connectionString!, "stacklens migrate", 1);
  try {
    await sql.begin(async (sql) => {
      await sql`lock table graphile_migrate.current in exclusive mode`;
      const [last] = await sql`select content from graphile_migrate.current where filename = 'current.sql'`;
      if (last?.content === body) return;
      for (const [name, value] of Object.entries(settings.pgSettings ?? {}))
        await sql`select set_config(${name}, ${value}, true)`;
      await sql.unsafe(body).catch((error) => Promise.reject(Object.assign(error, { body })));
      await sql`
        insert into graphile_migrate.current (filename, content) values ('current.sql', ${body})
        on conflict (filename) do update set content = excluded.content, date = excluded.date`;
    });
  } finally {
    await sql.end();
  }
}
