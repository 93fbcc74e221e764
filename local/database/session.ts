// One client after its login: cuts what it sends into units, waits for its turn, and passes the answers on.
import type { Socket } from "node:net";
import type { Client, Database } from "./database.ts";
import { createListening } from "./listening.ts";
import { mayChangeSettings, readSettings } from "./settings.ts";
import { createStatements } from "./statements.ts";
import { createSplitter, error, field, type Message, message, readyForQuery, sync, textAt, typeOf } from "./wire.ts";

/** Answers a unit in the database's place: the messages to send instead of running it, ReadyForQuery not included. */
export type Interceptor = (sql: string, unit: Message[], inTransaction: boolean) => Promise<Message[] | undefined>;

export interface Session {
  client: Client;
  receive(messages: Message[]): void;
  /** The client has gone. */
  hangUp(): void;
  /** A CancelRequest has come. */
  cancel(): void;
}

/** How long a cancelled statement may go on before its Postgres is ended, in ms. */
const patience = 3000;

export function createSession(
  id: number,
  socket: Socket,
  database: Database,
  client: Client,
  intercept: Interceptor,
): Session {
  const { turns, engine } = database;
  const statements = createStatements(id, () => database.prepared);
  const listening = createListening();
  const inbox: Message[] = [];
  let wakeUp: (() => void) | undefined;
  let gone = false;
  let status = "I";
  let running = false;
  let copying = false;
  let cancelled: "user request" | "statement timeout" | undefined;
  let settingsChanged = false;
  let texts = "";

  /** Takes one unit from the inbox when it is complete: a simple query, or everything up to Sync or Flush. */
  const takeUnit = (): Message[] | undefined => {
    while (inbox.length > 0 && "dcf".includes(typeOf(inbox[0]!))) inbox.shift(); // the rest of a failed COPY
    const first = inbox[0] && typeOf(inbox[0]);
    if (first === "Q" || first === "F") return inbox.splice(0, 1);
    const end = inbox.findIndex((part) => "SH".includes(typeOf(part)));
    return end < 0 ? undefined : inbox.splice(0, end + 1);
  };

  /** Passes the client's COPY data on, as Postgres asks for it. */
  const feed = () => {
    if (!copying) return;
    while (inbox.length > 0) {
      const type = typeOf(inbox[0]!);
      if (!"dcfSH".includes(type)) break;
      const part = inbox.shift()!;
      if (type === "S" || type === "H") continue; // Postgres ignores them inside a COPY
      engine.more(part);
      if (type !== "d") {
        copying = false;
        break;
      }
    }
  };

  /** Handles one message of Postgres; false keeps it from the client. */
  const observe = (part: Message): boolean | Message => {
    switch (part[0]) {
      case 49: // ParseComplete
        return statements.parsed();
      case 65: // NotificationResponse
        database.deliver(part);
        return false;
      case 67: {
        const tag = textAt(part, 5);
        if ((tag === "SET" || tag === "RESET") && mayChangeSettings(texts)) settingsChanged = true;
        if (tag === "DISCARD ALL" || tag === "DEALLOCATE ALL") database.prepared.names.clear();
        if (tag === "DISCARD ALL") settingsChanged = true;
        listening.completed(tag);
        return true;
      }
      case 69:
        copying = false;
        if (cancelled === "statement timeout" && field(part, "C") === "57014") {
          return error("ERROR", "57014", "canceling statement due to statement timeout");
        }
        return true;
      case 71: // CopyInResponse
        copying = true;
        return true;
      case 78: // a warning of this build at each rollback
        return !field(part, "M")?.startsWith("# ");
      case 90:
        status = String.fromCharCode(part[5]!);
        return true;
      default:
        return true;
    }
  };

  const run = async (unit: Message[]): Promise<void> => {
    const split = createSplitter();
    const startedAt = performance.now();
    let statementAt = startedAt;
    running = true;
    cancelled = undefined;
    const watch = setInterval(() => {
      const limit = engine.statementTimeout();
      if (limit > 0 && performance.now() - statementAt > limit) stop("statement timeout");
    }, 10);
    await database.run(client, statements.translate(unit), {
      output(bytes) {
        const out: Message[] = [];
        for (const part of split(bytes)) {
          if (part[0] === 67) statementAt = performance.now();
          const kept = observe(part);
          if (kept) out.push(kept === true ? part : kept);
        }
        write(out);
        if (copying) feed();
      },
      hungry() {
        if (gone) engine.more(message("f", "client has gone"));
        else socket.resume();
      },
      refused(reason) {
        write([reason, readyForQuery("I")]);
      },
    });
    clearInterval(watch);
    clearTimeout(ending);
    running = false;
    copying = false;
  };

  let ending: NodeJS.Timeout | undefined;
  const stop = (reason: typeof cancelled) => {
    if (cancelled) return;
    cancelled = reason;
    engine.cancel();
    ending = setTimeout(() => engine.kill(), patience);
  };

  /** Sends messages, neighbours in one piece. */
  const write = (parts: Message[]) => {
    if (parts.length === 0 || gone) return;
    socket.cork();
    let [from, ...rest] = parts as [Message, ...Message[]];
    for (const part of rest) {
      if (from.buffer === part.buffer && from.byteOffset + from.length === part.byteOffset) {
        from = Buffer.from(from.buffer, from.byteOffset, from.length + part.length);
      } else {
        socket.write(from);
        from = part;
      }
    }
    socket.write(from);
    socket.uncork();
  };

  /** Housekeeping at the end of a turn, while Postgres is still as the client left it. */
  const endTurn = async () => {
    if (mayChangeSettings(texts) && /\bset_config\b/i.test(texts)) settingsChanged = true;
    if (settingsChanged) {
      const rows = await database.query(client, readSettings);
      client.settings = new Map(rows.map(([name, value]) => [name!, value ?? ""]));
      settingsChanged = false;
    }
    for (const channel of listening.endTurn(texts, database.clients)) await database.query(client, `listen ${channel}`);
    texts = "";
  };

  const loop = async () => {
    for (;;) {
      const unit = takeUnit();
      if (!unit) {
        if (gone) break;
        await new Promise<void>((resolve) => {
          wakeUp = resolve;
        });
        continue;
      }
      if (gone) continue;
      const sql = unit.map((part) => statements.textOf(part)).join(";");
      const answer = await intercept(sql, unit, status !== "I");
      if (answer) {
        write([...answer, readyForQuery(status as "I")]);
        continue;
      }
      if (!(await turns.acquire(client))) {
        write([error("ERROR", "57014", "canceling statement due to user request"), readyForQuery("I")]);
        continue;
      }
      texts += `${sql};`;
      await run(unit);
      if (status === "I" && typeOf(unit.at(-1)!) !== "H") {
        await endTurn();
        turns.release(client);
      }
    }
    await leave();
  };

  /** Leaves nothing behind: no transaction, no statements. */
  const leave = async () => {
    await turns.acquire(client);
    const ignore = { output() {}, hungry() {}, refused() {} };
    await database.run(client, Buffer.concat([...statements.farewell(), sync]), ignore);
    await database.run(client, message("Q", "rollback"), ignore);
    database.clients.delete(client);
    turns.release(client);
  };

  client.listensTo = listening.channels;
  client.notify = (channel, notification) => {
    if (listening.has(channel)) write([notification]);
  };
  client.expel = () => client.end("25P03", "terminating connection due to idle-in-transaction timeout");
  client.end = (code, text) => {
    write([error("FATAL", code, text)]);
    socket.end();
  };
  void loop();

  return {
    client,
    receive(messages) {
      for (const part of messages) inbox.push(part);
      if (copying) feed();
      wakeUp?.();
      wakeUp = undefined;
    },
    hangUp() {
      gone = true;
      if (running) stop("user request");
      if (copying) engine.more(message("f", "client has gone"));
      turns.withdraw(client);
      wakeUp?.();
    },
    cancel() {
      if (running) stop("user request");
      else turns.withdraw(client);
    },
  };
}
