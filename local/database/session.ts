// One client after its login: cuts what it sends into units, waits for its turn, and passes the answers on.

import type { Socket } from "node:net";
import { drained } from "../../src/drained.ts";
import type { Client, Database } from "./database.ts";
import { createInbox, inboxLimit } from "./inbox.ts";
import { createListening } from "./listening.ts";
import { announcesNested, createNested } from "./nested.ts";
import { mayChangeSettings, readSettings } from "./settings.ts";
import { createStatements } from "./statements.ts";
import type { Turn } from "./turns.ts";
import { createSplitter, error, field, type Message, message, readyForQuery, sync, textAt, typeOf } from "./wire.ts";

/** Answers a unit in the database's place: the messages to send instead of running it, ReadyForQuery not included. */
export type Interceptor = (
  sql: string,
  unit: Message[],
  inTransaction: boolean,
  mayCreate: () => Promise<boolean>,
) => Promise<Message[] | undefined>;

export type Session = ReturnType<typeof createSession>;

/** How long a cancelled statement may go on before its Postgres is ended, in ms. */
const patience = 3000;
/** SQL that may change what the gateway keeps for a client. */
const remarkable = /\b(set|reset|discard|set_config|listen|unlisten)\b/i;

export function createSession(id: number, socket: Socket, database: Database, client: Client, intercept: Interceptor) {
  const { turns, engine } = database;
  const statements = createStatements(id, () => database.prepared);
  const listening = createListening();
  const nested = createNested();
  const inbox = createInbox(socket);
  let wakeUp: (() => void) | undefined;
  let gone = false;
  let leaving = false;
  /** I, T or E, as Postgres says it: idle, in a transaction, in a failed one. */
  let status = "I";
  let transactionAt = 0;
  let turn: Turn = "own";
  /** Whether the turn is ours, running or not. */
  let holding = false;
  let running = false;
  let copying = false;
  let fedAt = 0;
  let stopped: "user request" | "statement timeout" | undefined;
  let killer: NodeJS.Timeout | undefined;
  let settingsChanged = false;
  /** The remarkable SQL of this turn. */
  let texts = "";
  /** Whether it has said in this turn that it waits for another client. */
  let announced = false;

  /** Passes the client's COPY data on, as long as Postgres keeps up. */
  const feed = () => {
    if (engine.unread() > inboxLimit) return;
    const { data, last } = inbox.takeData();
    fedAt = performance.now();
    if (data.length > 0) engine.more(data.length === 1 ? data[0]! : Buffer.concat(data));
    if (last) copying = false;
  };

  /** Looks at one message of Postgres: what to send to the client for it. */
  const observe = (part: Message): Message | undefined => {
    switch (part[0]) {
      case 49: // ParseComplete
        return statements.parsed() ? part : undefined;
      case 65: // NotificationResponse
        database.deliver(part);
        return undefined;
      case 67: {
        const tag = textAt(part, 5);
        if ((tag === "SET" || tag === "RESET") && mayChangeSettings(texts)) settingsChanged = true;
        if (tag === "DISCARD ALL" || tag === "DEALLOCATE ALL") database.prepared.names.clear();
        if (tag === "DISCARD ALL") settingsChanged = true;
        listening.completed(tag);
        return part;
      }
      case 69:
        copying = false;
        if (stopped !== "statement timeout" || field(part, "C") !== "57014") return part;
        return error("ERROR", "57014", "canceling statement due to statement timeout");
      case 71: // CopyInResponse
        if (stopped) engine.more(message("f", "cancelled"));
        else copying = true;
        return part;
      case 78: // a warning of this build at each rollback
        return field(part, "M")?.startsWith("# ") ? undefined : part;
      case 90:
        if (status === "I") transactionAt = performance.now();
        status = String.fromCharCode(part[5]!);
        return part;
      default:
        return part;
    }
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
    if (socket.writableNeedDrain && !draining) {
      draining = true;
      const isOver = () => {
        draining = false;
      };
      engine.holdOutput(drained(socket).finally(isOver));
    }
  };
  let draining = false;

  /** Runs one unit; the turn is ours. */
  const run = async (bytes: Buffer): Promise<void> => {
    const split = createSplitter();
    let statementAt = performance.now();
    running = true;
    stopped = undefined;
    fedAt = statementAt;
    const watch = setInterval(() => {
      const limits = engine.timeouts();
      if (limits.statement > 0 && performance.now() - statementAt > limits.statement) stop("statement timeout");
      if (copying && engine.unread() === 0) endIfIdle(fedAt);
    }, 10);
    const answered = database.run(client, bytes, {
      output(answer) {
        const out: Message[] = [];
        for (const part of split(answer)!) {
          if (part[0] === 67) statementAt = performance.now();
          const seen = observe(part);
          const shown = seen && turn === "lent" ? nested.disguise(seen) : seen;
          if (shown) out.push(shown);
        }
        write(out);
        if (copying) feed();
      },
      hungry() {
        if (copying) feed();
      },
      refused: (reason) => write([reason, readyForQuery("I")]),
    });
    try {
      await answered;
    } finally {
      clearInterval(watch);
      clearTimeout(killer);
      running = false;
      copying = false;
    }
  };

  const stop = (reason: typeof stopped) => {
    if (stopped) return;
    stopped = reason;
    engine.cancel();
    // A COPY may wait for its client, and would not look.
    if (copying) engine.more(message("f", "cancelled"));
    copying = false;
    killer = setTimeout(() => database.restart("a statement could not be cancelled"), patience);
  };

  /** Housekeeping at the end of a turn, while Postgres is still as the client left it. */
  const endTurn = async () => {
    if (/\bset_config\b/i.test(texts) && mayChangeSettings(texts)) settingsChanged = true;
    if (settingsChanged) {
      const rows = await database.ask(client, readSettings(texts, client.settings.keys()));
      client.settings = new Map(rows.map(([name, value]) => [name!, value ?? ""]));
      settingsChanged = false;
      database.forgetState(); // RESET and DISCARD have gone back to what the server has, not to the client's start
    }
    for (const channel of listening.endTurn(texts, database.clients)) await database.ask(client, `listen ${channel}`);
    texts = "";
    announced = false;
  };

  /** Whether the client may make and drop databases. */
  const mayCreate = async (): Promise<boolean> => {
    await turns.acquire(client);
    const [[may]] = (await database.ask(
      client,
      "select rolsuper or rolcreatedb from pg_catalog.pg_roles where rolname operator(pg_catalog.=) current_user",
    )) as [[string]];
    turns.release(client);
    return may === "t";
  };

  const runUnit = async (unit: Message[]) => {
    const sql = unit.map((part) => statements.textOf(part)).join(";");
    const inTransaction = turn === "lent" ? nested.inTransaction() : status !== "I";
    const answer = await intercept(sql, unit, inTransaction, mayCreate);
    if (answer) return write([...answer, readyForQuery(status as "I")]);
    turn = await turns.acquire(client);
    holding = turn !== "withdrawn";
    if (turn === "withdrawn") {
      return write([error("ERROR", "57014", "canceling statement due to user request"), readyForQuery("I")]);
    }
    if (gone) return;
    if (remarkable.test(sql)) texts += `${sql};`;
    if (texts.length > 1 << 20) texts = texts.slice(-65_536); // a long transaction of UPDATE … SET
    if (announcesNested.test(sql)) announced = true;
    if (mayChangeSettings(sql)) texts += unit.map((part) => part.toString("latin1")).join(";"); // parameters of set_config
    const bytes = statements.translate(unit);
    if (turn === "own") await run(bytes);
    else {
      const { before, instead, after } = nested.plan(unit);
      if (before) await database.ask(client, before);
      await run(instead ?? bytes);
      if (after) await database.ask(client, after(status));
      if (!nested.inTransaction()) status = "I";
    }
    if (status === "I" && typeOf(unit.at(-1)!) !== "H") {
      await endTurn();
      holding = false;
      turns.release(client);
    } else turns.pause(client);
  };

  /** Ends a client that has kept its turn for too long without using it, if others wait. */
  const endIfIdle = (since: number) => {
    const limit = engine.timeouts().idleInTransaction;
    if (limit === 0 || turns.waiting() === 0 || performance.now() - since < limit) return;
    client.end("25P03", "terminating connection due to idle-in-transaction timeout");
  };

  const wait = async () => {
    const since = performance.now();
    const patrol = holding ? setInterval(endIfIdle, 100, since) : undefined;
    await new Promise<void>((resolve) => {
      wakeUp = resolve;
    });
    clearInterval(patrol);
  };

  /** Leaves nothing behind: no transaction, no statements. */
  const leave = async () => {
    leaving = true;
    turn = await turns.acquire(client);
    await run(Buffer.concat([...statements.farewell(), sync]));
    if (turn === "lent") await run(nested.plan([message("Q", "rollback")]).instead!);
    else if (status !== "I") await run(message("Q", "rollback"));
    database.clients.delete(client);
    turns.release(client);
  };

  client.hosts = (guest) => {
    const other = guest as Client;
    const follows = other.cameAt > transactionAt || other.hosted;
    const hosting = status === "T" && announced && follows && other.application === client.application;
    if (hosting) other.hosted = true;
    return hosting;
  };
  client.listensTo = listening.channels;
  client.notify = (channel, notification) => {
    if (listening.has(channel)) write([notification]);
  };
  client.end = (code, text) => {
    write([error("FATAL", code, text)]);
    socket.end();
    setTimeout(() => socket.destroy(), 1000).unref(); // it may not read
    hangUp();
  };

  const hangUp = () => {
    if (gone) return;
    gone = true;
    if (leaving) return;
    if (running) stop("user request");
    turns.withdraw(client);
    wakeUp?.();
  };

  const loop = async () => {
    while (!gone) {
      const unit = inbox.takeUnit();
      if (!unit) await wait();
      else if (typeOf(unit[0]!) === "X") break;
      else await runUnit(unit);
    }
    socket.end();
    await leave();
  };
  // Rejected only when Postgres has ended, or an assumption about it is wrong; the other clients go on.
  loop().catch((reason) => client.end("XX000", String(reason?.message ?? reason)));

  return {
    client,
    receive(messages: Message[]) {
      inbox.put(messages);
      if (copying) feed();
      wakeUp?.();
    },
    /** The connection has gone. */
    hangUp() {
      if (copying || !inbox.terminates()) hangUp();
    },
    /** A CancelRequest has come. */
    cancel() {
      if (leaving) return;
      if (running) stop("user request");
      else turns.withdraw(client);
    },
  };
}
