// CREATE DATABASE and DROP DATABASE, which the gateway answers: a database is a folder here.
import type { Client } from "./database.ts";
import type { Databases } from "./databases.ts";
import { pristine } from "./databases.ts";
import { commandComplete, error, type Message, message, typeOf } from "./wire.ts";

const name = '("(?:[^"]|"")+"|[\\w$]+)';
const create = new RegExp(`^\\s*create\\s+database\\s+${name}(.*)$`, "is");
const template = new RegExp(`\\btemplate\\s*=?\\s*${name}`, "i");
const drop = new RegExp(
  `^\\s*drop\\s+database\\s+(if\\s+exists\\s+)?${name}\\s*(?:with)?\\s*(\\(\\s*force\\s*\\))?\\s*;*\\s*$`,
  "i",
);

const plain = (identifier: string) =>
  identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier.toLowerCase();

/** Answers a unit if it is one of these commands; `connected` are the clients of a database. */
export async function databaseCommand(
  sql: string,
  unit: Message[],
  inTransaction: boolean,
  mayCreate: () => Promise<boolean>,
  databases: Databases,
  connected: (database: string) => Client[],
): Promise<Message[] | undefined> {
  if (!/\bdatabase\b/i.test(sql)) return undefined;
  const text = sql.replace(/^(\s*--[^\n]*\n|\s*\/\*.*?\*\/)*/s, "").replace(/;+\s*$/, "");
  const creation = text.match(create);
  const removal = text.match(drop);
  const kinds = unit.map(typeOf);
  if ((!creation && !removal) || (!kinds.includes("Q") && !kinds.includes("E"))) return undefined;
  const tag = creation ? "CREATE DATABASE" : "DROP DATABASE";
  const fail = (code: string, reason: string) => [error("ERROR", code, reason)];
  if (inTransaction) return fail("25001", `${tag} cannot run inside a transaction block`);
  if (!(await mayCreate())) return fail("42501", `permission denied to ${tag.toLowerCase()}`);
  try {
    if (creation) {
      const target = plain(creation[1]!);
      const source = plain(creation[2]!.match(template)?.[1] ?? pristine).replace(/^template0$/, pristine);
      if (databases.exists(target)) return fail("42P04", `database "${target}" already exists`);
      if (!databases.exists(source)) return fail("3D000", `template database "${source}" does not exist`);
      await databases.create(target, source);
    } else {
      const target = plain(removal![2]!);
      const clients = connected(target);
      if (target === pristine) return fail("42809", "cannot drop a template database");
      if (databases.exists(target)) {
        if (clients.length > 0 && !removal![3])
          return fail("55006", `database "${target}" is being accessed by other users`);
        for (const client of clients) client.end("57P01", "terminating connection due to administrator command");
        await databases.drop(target);
      } else if (!removal![1]) return fail("3D000", `database "${target}" does not exist`);
    }
  } catch (reason) {
    return fail("58000", (reason as Error).message);
  }
  const answers: Record<string, Message> = {
    P: message("1"),
    B: message("2"),
    D: message("n"),
    E: commandComplete(tag),
  };
  return kinds.includes("Q") ? [commandComplete(tag)] : kinds.flatMap((kind) => answers[kind] ?? []);
}
