// The databases of a data directory: one folder each, opened when a client comes, made by copying another one.
import {
  closeSync,
  constants,
  cpSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Database, openDatabase } from "./database.ts";
import { quote } from "./settings.ts";

export type Databases = Awaited<ReturnType<typeof openDatabases>>;

/** The database that all others are copies of, straight from initdb. */
export const pristine = "template1";

/** Brings all files of a folder to the disk. */
function syncTree(root: string): void {
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const file = openSync(join(entry.parentPath, entry.name), "r");
    fsyncSync(file);
    closeSync(file);
  }
}

export async function openDatabases(dataDirectory: string, compiled: WebAssembly.Module, fsync: boolean) {
  const root = join(dataDirectory, "databases");
  const folder = (name: string) => join(root, encodeURIComponent(name));
  const open = new Map<string, Promise<Database>>();
  const leaving = new Map<string, Promise<void>>();
  mkdirSync(root, { recursive: true });
  for (const entry of readdirSync(root)) {
    if (entry.startsWith("%unfinished")) rmSync(join(root, entry), { recursive: true });
  }
  const unfinished = () => join(root, `%unfinished-${process.hrtime.bigint()}`);

  if (!existsSync(folder(pristine))) {
    const temporary = unfinished();
    mkdirSync(temporary);
    const first = await openDatabase(compiled, temporary, pristine, pristine, false);
    // A folder holds one database; these two would only be copied along.
    await first.inTurn(async (gateway) => {
      await first.ask(gateway, "update pg_database set datistemplate = false where datname = 'template0'");
      for (const other of ["postgres", "template0"]) await first.ask(gateway, `drop database ${other}`);
    });
    await first.close();
    if (fsync) syncTree(temporary);
    renameSync(temporary, folder(pristine));
  }

  const damaged = (name: string, reason: string) =>
    new Error(
      `${folder(name)} is damaged (${reason}); put a copy in its place, or remove it to start with an empty database`,
    );

  /** Takes a database that is being closed off the list; it can be opened again when that is done. */
  const leave = (name: string, closing: Promise<void>): Promise<void> => {
    open.delete(name);
    const left = closing.finally(() => leaving.delete(name));
    leaving.set(name, left);
    return left;
  };

  /** A copy still has the name of its template in its catalog; the file beside it says which. */
  const openFolder = async (name: string): Promise<Database> => {
    if (!existsSync(join(folder(name), "PG_VERSION"))) throw damaged(name, "PG_VERSION is missing");
    const note = join(folder(name), "database_name");
    const noted = existsSync(note) ? readFileSync(note, "utf8") : pristine;
    const database = await openDatabase(compiled, folder(name), name, noted, fsync)
      // Ended between the renaming and its note?
      .catch((reason) =>
        noted === name ? Promise.reject(reason) : openDatabase(compiled, folder(name), name, name, fsync),
      )
      .catch((reason) => {
        throw damaged(name, reason.message);
      });
    if (noted !== name) writeFileSync(note, name, { flush: true });
    return database;
  };

  /** Lets pg_database of every open database show all of them, as psql -l and clean-up scripts expect. */
  const publish = (to: Promise<Database>) => {
    const names = readdirSync(root).filter((entry) => !entry.startsWith("%unfinished"));
    const list = `array[${names.map((entry) => quote(decodeURIComponent(entry))).join(", ")}]`;
    const others = `
      delete from pg_database where oid <> 1 and datname <> all (${list});
      insert into pg_database
        select (jsonb_populate_record(d, jsonb_build_object(
          'oid', 1 << 30 | hashtext(name), 'datname', name, 'datistemplate', name = '${pristine}'))).*
        from pg_database d, unnest(${list}) name
        where d.oid = 1 and not exists (select from pg_database where datname = name)`;
    to.then((database) => database.inTurn((gateway) => database.ask(gateway, others), true)).catch(() => {});
  };

  const databases = {
    exists: (name: string) => existsSync(folder(name)),
    open(name: string): Promise<Database> {
      let database = open.get(name);
      if (!database) {
        database = (leaving.get(name) ?? Promise.resolve()).then(() => openFolder(name));
        open.set(name, database);
        const forget = () => open.get(name) === database && open.delete(name);
        publish(database);
        database.then(({ ended }) => ended).then(forget, forget);
      }
      return database;
    },
    async create(name: string, template: string) {
      const temporary = unfinished();
      const copy = () =>
        cpSync(folder(template), temporary, { recursive: true, mode: constants.COPYFILE_FICLONE, errorOnExist: true });
      await leaving.get(template);
      const source = await open.get(template);
      if (source) await source.whileStill(copy);
      else copy();
      if (fsync) syncTree(temporary);
      renameSync(temporary, folder(name));
      for (const database of open.values()) publish(database);
    },
    async drop(name: string) {
      const database = await open.get(name);
      if (database) await leave(name, database.kill());
      renameSync(folder(name), unfinished());
      for (const other of open.values()) publish(other);
      for (const entry of readdirSync(root)) {
        if (entry.startsWith("%unfinished")) rmSync(join(root, entry), { recursive: true });
      }
    },
    async close() {
      await Promise.all([...open.values()].map(async (database) => (await database).close()));
    },
  };
  // An open database takes 100 MB and more; one that nobody uses and that has no jobs is closed after a minute.
  let unused = new Set<Database>();
  const sweep = async () => {
    const before = unused;
    unused = new Set();
    for (const [name, opening] of open) {
      const database = await opening.catch(() => undefined);
      if (!database || database.clients.size > 0 || database.hasJobs || name === "stacklens") continue;
      if (before.has(database)) leave(name, database.close());
      else unused.add(database);
    }
  };
  setInterval(sweep, 30_000).unref();

  for (const name of ["postgres", "stacklens"]) {
    if (!databases.exists(name)) await databases.create(name, pristine);
  }
  return databases;
}
