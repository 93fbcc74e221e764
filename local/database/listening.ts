// LISTEN and UNLISTEN of one client. Postgres knows one list for its one session, so each client's own is kept here.
import type { Client } from "./database.ts";
import { quoteName } from "./settings.ts";

export interface Listening {
  has(channel: string): boolean;
  channels(): Iterable<string>;
  /** A command has ended with this tag. */
  completed(tag: string): void;
  /** Applies a finished turn; channels that others still need and that this turn may have ended are returned, quoted. */
  endTurn(sql: string, others: Iterable<Client>): string[];
}

const commands = /\b(un)?listen\s+(\*|"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)/giu;

export function createListening(): Listening {
  const mine = new Set<string>();
  let tags = new Set<string>();

  return {
    has: (channel) => mine.has(channel),
    channels: () => mine,
    completed(tag) {
      if (tag === "LISTEN" || tag === "UNLISTEN" || tag === "DISCARD ALL") tags.add(tag);
    },
    endTurn(sql, others) {
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
