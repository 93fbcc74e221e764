// `npm run migrate`: brings the database at DATABASE_URL up to date. With a word behind it, the development commands of
// graphile-migrate with our defaults; docs/development.md says how to work with them:
//   current           runs migrations/current.sql, too
//   watch             the same, again at every change of current.sql or of a file under sql/
//   commit [message]  makes current.sql the next committed migration, tried on the shadow database first
//   uncommit          takes the newest committed migration back into current.sql
//   reset --erase     drops the database and makes it anew

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import * as graphile from "graphile-migrate";
import { DATABASE_SERVER, DATABASE_URL } from "../local/addresses.ts";
import { reason } from "../src/log.ts";
import { runCurrent } from "./migrate/current.ts";
import { describe } from "./migrate/locate.ts";
import { prepare } from "./migrate/prepare.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
const MIGRATIONS = `${ROOT}/migrations`;
const LOCK_WAIT_MS = 60_000; // another migrate at work
const LINGER_MS = 300; // graphile-migrate keeps its connections for 200 ms, and ends the process if one is lost then

/**
 * Brings a database up to date: extension, Graphile Worker's schema, committed migrations; with `current`, current.sql as well.
 * @throws Error whose message is one line: what is wrong, where, and the remedy.
 */
export async function migrate(databaseUrl: string, options: { current?: boolean } = {}): Promise<void> {
  await prepare(databaseUrl);
  const settings = readSettings({ connectionString: databaseUrl, logger: quiet });
  await exclusively(() => graphile.migrate(settings));
  if (options.current) await exclusively(() => runCurrent(settings));
  await sleep(LINGER_MS);
}

/** The settings of .gmrc, with connections. */
function readSettings(connections: graphile.Settings): graphile.Settings {
  return { ...JSON.parse(readFileSync(`${ROOT}/.gmrc`, "utf8")), migrationsFolder: MIGRATIONS, ...connections };
}

/** graphile-migrate refuses to run beside another one; waiting for that one is what everybody wants. */
async function exclusively(run: () => Promise<void>): Promise<void> {
  const until = Date.now() + LOCK_WAIT_MS;
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!/exclusive lock/.test(reason(error))) throw new Error(describe(error, MIGRATIONS));
      if (Date.now() > until)
        throw new Error("another migration holds the lock for a minute now: look at pg_stat_activity");
      await sleep(500);
    }
  }
}

const quiet = new graphile.Logger(() => () => {});

/** Says what graphile-migrate does, and of an error the line that describe() gives. */
const spoken = new graphile.Logger(() => (_level, message, meta) => {
  console.log(meta?.error ? describe(meta.error, MIGRATIONS) : message);
});

/** The development commands. Shadow and root come from the environment, or belong to the database of npm start. */
async function develop(command: string, words: string[], databaseUrl: string): Promise<void> {
  const local = databaseUrl.startsWith(DATABASE_SERVER);
  const connection = (variable: string, database: string) => {
    const value = process.env[variable] || (local ? `${DATABASE_SERVER}/${database}` : undefined);
    if (!value)
      throw new Error(`${variable} is not set: \`${command}\` needs it, as DATABASE_URL is not the local database`);
    return value;
  };
  const settings = () =>
    readSettings({
      connectionString: databaseUrl,
      shadowConnectionString: connection("SHADOW_DATABASE_URL", "stacklens_shadow"),
      rootConnectionString: connection("ROOT_DATABASE_URL", "postgres"),
      logger: spoken,
    });

  switch (command) {
    case "current":
      return migrate(databaseUrl, { current: true });
    case "watch":
      await prepare(databaseUrl);
      return graphile.watch(readSettings({ connectionString: databaseUrl, logger: spoken }));
    case "commit":
      await migrate(databaseUrl);
      return graphile.commit(settings(), words.join(" ") || null);
    case "uncommit":
      return graphile.uncommit(settings());
    case "reset":
      if (words[0] !== "--erase")
        throw new Error(
          `reset drops everything in ${new URL(databaseUrl).pathname.slice(1)}: add -- --erase if you mean it`,
        );
      await graphile.reset(settings());
      return prepare(databaseUrl);
    default:
      throw new Error(`unknown command "${command}": use current, watch, commit, uncommit or reset, or none`);
  }
}

if (import.meta.main) {
  const [command, ...words] = process.argv.slice(2);
  const databaseUrl = process.env.DATABASE_URL?.trim() || DATABASE_URL;
  process.chdir(ROOT); // the actions of .gmrc name files of the project
  try {
    if (!URL.canParse(databaseUrl) || !/^postgres(ql)?:$/.test(new URL(databaseUrl).protocol))
      throw new Error("DATABASE_URL is not a URL of the form postgres://user:password@host:5432/database");
    await (command ? develop(command, words, databaseUrl) : migrate(databaseUrl));
    if (!command || command === "current") console.log(`${new URL(databaseUrl).pathname.slice(1)} is up to date`);
  } catch (error) {
    console.error(`migrate: ${reason(error)}`);
    process.exitCode = 1;
  }
}
