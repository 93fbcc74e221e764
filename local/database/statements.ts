// Names of prepared statements and portals. All clients share one Postgres session, so each one's names get a prefix; what
// another client has removed, by DISCARD ALL or by its own unnamed statement, is prepared again before it is used.
import { quoteName } from "./settings.ts";
import { type Message, message, textAt, typeOf } from "./wire.ts";

/** What the Postgres session has: prefixed names of prepared statements, and whose unnamed statement it is. */
export interface Prepared {
  names: Set<string>;
  unnamedOf: number | undefined;
}

/** The name in `deallocate name`, by which PostGraphile lets go of the oldest of its hundred statements. */
function deallocated(sql: string): string | undefined {
  const [, quoted, plain] = /^\s*deallocate\s+(?:prepare\s+)?(?:"((?:[^"]|"")+)"|(\w+))\s*;?\s*$/i.exec(sql) ?? [];
  return quoted?.replaceAll('""', '"') ?? plain?.toLowerCase();
}

export const nothingPrepared = (): Prepared => ({ names: new Set(), unnamedOf: undefined });

export function createStatements(client: number, prepared: () => Prepared) {
  const known = new Map<string, Message>();
  let pending: { name: string; parse: Message; again: boolean }[] = [];
  const prefixed = (name: string) => (name === "" ? "" : `${client}.${name}`);
  /** Replaces a name that begins at a place. */
  const rename = (original: Message, at: number): Message => {
    const name = textAt(original, at);
    const end = at + Buffer.byteLength(name);
    return message(typeOf(original), original.subarray(5, at), Buffer.from(prefixed(name)), original.subarray(end));
  };

  return {
    /** Rewrites the messages of one unit for the shared session. */
    translate(unit: Message[]): Buffer {
      const { names } = prepared();
      const again: typeof pending = [];
      const asked: typeof pending = [];
      const out: Message[] = [];
      /** Makes sure that a statement of an earlier unit is still there. */
      const need = (name: string) => {
        const parse = known.get(name);
        const present = name === "" ? prepared().unnamedOf === client : names.has(prefixed(name));
        if (!parse || present || [...again, ...asked].some((entry) => entry.name === name)) return;
        again.push({ name, parse, again: true });
      };
      for (const part of unit) {
        const type = typeOf(part);
        if (type === "Q") {
          known.delete("");
          prepared().unnamedOf = undefined;
          const name = deallocated(textAt(part, 5));
          if (name === undefined || !known.has(name)) {
            out.push(part);
            continue;
          }
          need(name);
          known.delete(name);
          names.delete(prefixed(name));
          out.push(message("Q", `deallocate ${quoteName(prefixed(name))}`));
        } else if (type === "P") {
          const name = textAt(part, 5);
          asked.push({ name, parse: Buffer.from(part), again: false });
          out.push(rename(part, 5));
        } else if (type === "B") {
          const statementAt = part.indexOf(0, 5) + 1;
          need(textAt(part, statementAt));
          out.push(rename(rename(part, statementAt), 5));
        } else if (type === "D" || type === "C") {
          const name = textAt(part, 6);
          if (part[5] === 83) {
            if (type === "D") need(name);
            else {
              known.delete(name);
              names.delete(prefixed(name));
            }
          }
          out.push(rename(part, 6));
        } else if (type === "E") out.push(rename(part, 5));
        else out.push(part);
      }
      pending = [...again, ...asked];
      return Buffer.concat([...again.map(({ parse }) => rename(parse, 5)), ...out]);
    },
    /** A ParseComplete has come; false if it answers a Parse that was sent again, of which the client knows nothing. */
    parsed(): boolean {
      const entry = pending.shift();
      if (!entry) return true;
      known.set(entry.name, entry.parse);
      if (entry.name === "") prepared().unnamedOf = client;
      else prepared().names.add(prefixed(entry.name));
      return !entry.again;
    },
    /** Messages that remove all that this client has prepared. */
    farewell: (): Message[] => {
      const mine = [...known.keys()].filter((name) => name !== "" && prepared().names.delete(prefixed(name)));
      return mine.map((name) => message("C", Buffer.from("S"), prefixed(name)));
    },
    /** The SQL of a message, as far as it is known. */
    textOf(part: Message): string {
      const type = typeOf(part);
      if (type === "Q") return textAt(part, 5);
      if (type === "P") return textAt(part, part.indexOf(0, 5) + 1);
      if (type !== "B") return "";
      const parse = known.get(textAt(part, part.indexOf(0, 5) + 1));
      return parse ? textAt(parse, parse.indexOf(0, 5) + 1) : "";
    },
  };
}
