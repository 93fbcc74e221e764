// One open database: its engine, whose turn it is, and what all its clients have in common.
import { setTimeout } from "node:timers/promises";
import { type Engine, type Listener, openEngine, type Step } from "./engine.ts";
import { scheduleJobs } from "./jobs.ts";
import { enter, type Identity, type State, superuser } from "./settings.ts";
import { nothingPrepared, type Prepared } from "./statements.ts";
import { createTurns, type Guest, type Turns } from "./turns.ts";
import { columns, createSplitter, field, query, textAt } from "./wire.ts";

/** A client, as its database sees it. */
export interface Client extends Guest, State {
  /** Its application_name, and when it came. */
  application: string;
  cameAt: number;
  /** Whether it has been inside another one's transaction. */
  hosted: boolean;
  listensTo(): Iterable<string>;
  /** A notification has come on a channel. */
  notify(channel: string, message: Buffer): void;
  /** The server ends the session. */
  end(code: string, text: string): void;
}

/** A client that nobody has attached to yet. */
export function newClient(identity: Identity, startSettings: Map<string, string>): Client {
  return {
    identity,
    startSettings,
    settings: new Map(),
    application: startSettings.get("application_name") ?? "",
    cameAt: performance.now(),
    hosted: false,
    hosts: () => false,
    listensTo: () => [],
    notify() {},
    end() {},
  };
}

export interface Database {
  name: string;
  turns: Turns;
  prepared: Prepared;
  clients: Set<Client>;
  /** Whether it has jobs of users or policies that want it open. */
  hasJobs: boolean;
  /** Fulfilled when its Postgres has ended, with the reason. */
  ended: PromiseWithResolvers<string>;
  /** Runs one unit for a client that has the turn. */
  run(client: Client, unit: Uint8Array, listener: Listener): Promise<void>;
  /** Runs SQL for a client that has the turn; rows in text form. */
  query(client: Client, sql: string): Promise<(string | null)[][]>;
  engine: Engine;
  /** The next turn must put the state of its client in place, even if it is the same one. */
  forgetState(): void;
  /** Ends Postgres and all its clients; the next client opens it again. */
  restart(reason: string): void;
  /** Runs SQL as the superuser in a turn of its own; rows in text form. */
  ask(sql: string, settings?: Record<string, string>): Promise<(string | null)[][]>;
  /** Lets the gateway itself have a turn, as the superuser. */
  inTurn<T>(action: (gateway: Client) => Promise<T>): Promise<T>;
  closed(): boolean;
  /** Does something with the files while they are all on disk and nothing changes them. */
  whileStill<T>(action: () => T): Promise<T>;
  /** Hands a NotificationResponse to the clients; each knows what it listens to. */
  deliver(message: Buffer): void;
  close(): Promise<void>;
  /** Ends it at once, for a database that is dropped. */
  kill(): Promise<void>;
}

/** Opens the database in a directory. */
export async function openDatabase(
  compiled: WebAssembly.Module,
  directory: string,
  name: string,
  catalogName: string,
  fsync: boolean,
): Promise<Database> {
  const engine = await openEngine(compiled, directory, catalogName, fsync, catalogName === name ? undefined : name);
  const turns = createTurns();
  let closing = false;
  let inPlace: Client | undefined;
  let loggedIn: string | undefined;

  /** Lets the gateway itself have a turn. */
  const inTurn: Database["inTurn"] = async (action) => {
    const gateway = newClient(superuser, new Map());
    await turns.acquire(gateway);
    try {
      return await action(gateway);
    } finally {
      turns.release(gateway);
    }
  };

  const database: Database = {
    name,
    turns,
    engine,
    prepared: nothingPrepared(),
    clients: new Set(),
    hasJobs: false,
    ended: Promise.withResolvers(),
    forgetState() {
      inPlace = undefined;
    },
    restart(reason) {
      void engine.kill().then(() => crashed(reason));
    },
    async run(client, unit, listener) {
      let before: Step[] = [];
      if (inPlace !== client) {
        before = enter(client, loggedIn);
        inPlace = client;
        loggedIn = client.identity.role;
      }
      const refused = (reason: Buffer) => {
        inPlace = undefined;
        listener.refused(reason);
      };
      await engine.run(before, unit, { ...listener, refused });
    },
    async query(client, sql) {
      const rows: (string | null)[][] = [];
      const split = createSplitter();
      let failure: string | undefined;
      const fail = (message: Buffer) => {
        failure ??= `${field(message, "C")}: ${field(message, "M")}`;
      };
      await database.run(client, query(sql), {
        output(bytes) {
          for (const message of split(bytes)!) {
            if (message[0] === 68) rows.push(columns(message));
            else if (message[0] === 69) fail(message);
            else if (message[0] === 65) database.deliver(message);
          }
        },
        hungry() {},
        refused: fail,
      });
      if (failure) throw new Error(failure);
      return rows;
    },
    ask: (sql, settings = {}) =>
      inTurn((gateway) => {
        gateway.startSettings = new Map(Object.entries(settings));
        return database.query(gateway, sql);
      }),
    deliver(message) {
      for (const client of database.clients) client.notify(textAt(message, 9), message);
    },
    whileStill: (action) =>
      inTurn(async (gateway) => {
        await database.query(gateway, "checkpoint");
        return action();
      }),
    inTurn,
    closed: () => closing,
    async close() {
      closing = true;
      engine.cancel();
      await Promise.race([inTurn(() => engine.close()).catch(() => {}), setTimeout(1000, undefined, { ref: false })]);
      await database.kill();
    },
    async kill() {
      closing = true;
      await engine.kill();
      database.ended.resolve("closed");
    },
  };
  const crashed = (reason: string) => {
    if (closing) return;
    closing = true;
    console.error(`local database: ${name} had to be ended (${reason}); the next client opens it again`);
    for (const client of database.clients)
      client.end("57P02", `terminating connection because Postgres ended: ${reason}`);
    database.ended.resolve(reason);
  };
  engine.crashed.then(crashed);
  scheduleJobs(database);
  return database;
}
