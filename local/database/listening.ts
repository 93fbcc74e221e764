// LISTEN and UNLISTEN of one client. Postgres knows one list for its one session, so each client's own is kept here.
import type { Client } from "./database.ts";
import { quoteName } from "./settings.ts";

const commands = /\b(un)?listen\s+(\*|"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)/giu;

export function createListening() {
  const mine = new Set<string>();
  let tags = new Set<string>();

  return {
    has: (channel: string) => mine.has(channel),
    channels: (): Iterable<string> => mine,
    /** A command has ended with this tag. */
    completed(tag: string) {
      if (tag === "LISTEN" || tag === "UNLISTEN" || tag === "DISCARD ALL") tags.add(tag);
    },
    /** Applies a finished turn; returns, quoted, the channels that others still need and that it may have ended. */
    endTurn(sql: string, others: Iterable<Client>): string[] {
      if (tags.size === 0) return [];
      if (tags.has("DISCARD ALL")) mine.clear();
      for (const [, un, name] of sql.matchAll(commands)) {
        const channel = name!.startsWith('"') ? name!.slice(1, -1).replaceAll('""', '"') : name!.toLowerCase();
        if (!un && tags.has("LISTEN")) mine.add(channel);
        else if (un && channel === "*") mine.clear();
        else if (un) mine.delete(channel);
      }
      const ended = tags.has("UNLISTEN") || tags.has("DISCARD ALL");
      tags = new Set();
      if (!ended) return [];
      const needed = new Set([...others].flatMap((client) => [...client.listensTo()]));
      return [...needed].map(quoteName);
    },
  };
}
