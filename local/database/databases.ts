// The databases of a data directory: one folder each, opened when a client comes, made by copying another one.
import { constants, cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Database, openDatabase } from "./database.ts";

export interface Databases {
  exists(name: string): boolean;
  open(name: string): Promise<Database>;
  /** Makes a database as a copy; throws an SQLSTATE and a text. */
  create(name: string, template: string): Promise<void>;
  drop(name: string): Promise<void>;
  opened(): Promise<Database>[];
  close(): Promise<void>;
}

/** The database that all others are copies of, straight from initdb. */
export const pristine = "template1";

export async function openDatabases(
  dataDirectory: string,
  compiled: WebAssembly.Module,
  fsync: boolean,
): Promise<Databases> {
  const root = join(dataDirectory, "databases");
  const folder = (name: string) => join(root, encodeURIComponent(name));
  const open = new Map<string, Promise<Database>>();
  mkdirSync(root, { recursive: true });
  for (const entry of readdirSync(root)) {
    if (entry.startsWith("%unfinished")) rmSync(join(root, entry), { recursive: true });
  }
  const unfinished = () => join(root, `%unfinished-${process.hrtime.bigint()}`);

  if (!existsSync(folder(pristine))) {
    const temporary = unfinished();
    mkdirSync(temporary);
    const first = await openDatabase(compiled, temporary, pristine, false);
    await first.close();
    renameSync(temporary, folder(pristine));
  }

  const databases: Databases = {
    exists: (name) => existsSync(folder(name)),
    open(name) {
      let database = open.get(name);
      if (!database) {
        database = openDatabase(compiled, folder(name), name, fsync);
        open.set(name, database);
        const forget = () => open.get(name) === database && open.delete(name);
        database.then(({ engine }) => engine.crashed).then(forget, forget);
      }
      return database;
    },
    async create(name, template) {
      const temporary = unfinished();
      const copy = () =>
        cpSync(folder(template), temporary, { recursive: true, mode: constants.COPYFILE_FICLONE, errorOnExist: true });
      const source = await open.get(template);
      if (source) await source.whileStill(copy);
      else copy();
      renameSync(temporary, folder(name));
    },
    async drop(name) {
      const database = await open.get(name);
      open.delete(name);
      await database?.engine.kill();
      renameSync(folder(name), unfinished());
      for (const entry of readdirSync(root)) {
        if (entry.startsWith("%unfinished")) rmSync(join(root, entry), { recursive: true });
      }
    },
    opened: () => [...open.values()],
    async close() {
      await Promise.all([...open.values()].map(async (database) => (await database).close()));
    },
  };
  for (const name of ["postgres", "stacklens"]) {
    if (!databases.exists(name)) await databases.create(name, pristine);
  }
  return databases;
}
