// One open database: its engine, whose turn it is, and what all its clients have in common.
import { setTimeout } from "node:timers/promises";
import { type Listener, openEngine, type Step } from "./engine.ts";
import { scheduleJobs } from "./jobs.ts";
import { enter, type Identity, type State, superuser } from "./settings.ts";
import { nothingPrepared } from "./statements.ts";
import { createTurns, type Guest } from "./turns.ts";
import { columns, createSplitter, field, type Message, query, textAt } from "./wire.ts";

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

/** The gateway itself; its search_path lets nobody's functions stand in for those of Postgres. */
export const newGateway = () => newClient(superuser, new Map([["search_path", "pg_catalog"]]));

export type Database = Awaited<ReturnType<typeof openDatabase>>;
export type Rows = (string | null)[][];

/** Opens the database in a directory; `catalogName` is the name that it has in its own catalog, if that is another one. */
export async function openDatabase(
  compiled: WebAssembly.Module,
  directory: string,
  name: string,
  catalogName: string,
  fsync: boolean,
) {
  const engine = await openEngine(compiled, directory, catalogName, fsync, catalogName === name ? undefined : name);
  const turns = createTurns();
  const clients = new Set<Client>();
  const ended = Promise.withResolvers<string>();
  let closing = false;
  /** Whose state Postgres has now, and who is logged in. */
  let inPlace: Client | undefined;
  let loggedIn: string | undefined;

  /** Runs one unit for a client that has the turn. */
  const run = async (client: Client, unit: Uint8Array, listener: Listener) => {
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
  };

  /** Hands a NotificationResponse to the clients; each knows what it listens to. */
  const deliver = (notification: Message) => {
    for (const client of clients) client.notify(textAt(notification, 9), notification);
  };

  /** Runs SQL for a client that has the turn; rows in text form. */
  const ask = async (client: Client, sql: string): Promise<Rows> => {
    const rows: Rows = [];
    const split = createSplitter();
    let failure: string | undefined;
    const fail = (reason: Message) => {
      failure ??= `${field(reason, "C")}: ${field(reason, "M")}`;
    };
    await run(client, query(sql), {
      output(bytes) {
        for (const part of split(bytes)!) {
          if (part[0] === 68) rows.push(columns(part));
          else if (part[0] === 69) fail(part);
          else if (part[0] === 65) deliver(part);
        }
      },
      hungry() {},
      refused: fail,
    });
    if (failure) throw new Error(failure);
    return rows;
  };

  /** Lets the gateway itself have a turn, as the superuser. */
  const inTurn = async <T>(action: (gateway: Client) => Promise<T>, patient = false): Promise<T> => {
    const gateway = { ...newGateway(), patient };
    await turns.acquire(gateway);
    try {
      return await action(gateway);
    } finally {
      turns.release(gateway);
    }
  };

  const crashed = (reason: string) => {
    if (closing) return;
    closing = true;
    console.error(`local database: ${name} had to be ended (${reason}); the next client opens it again`);
    for (const client of clients) client.end("57P02", `terminating connection because Postgres ended: ${reason}`);
    ended.resolve(reason);
  };
  engine.crashed.then(crashed);

  const kill = async () => {
    closing = true;
    await engine.kill();
    ended.resolve("closed");
  };

  const database = {
    name,
    turns,
    engine,
    clients,
    prepared: nothingPrepared(),
    /** Whether it has jobs that want it to stay open. */
    hasJobs: false,
    closed: () => closing,
    /** Fulfilled when its Postgres has ended, with the reason. */
    ended: ended.promise,
    run,
    ask,
    deliver,
    inTurn,
    /** The next turn must put the state of its client in place, even if it is the same one. */
    forgetState() {
      inPlace = undefined;
    },
    /** Does something with the files while they are all on disk and nothing changes them. */
    whileStill: <T>(action: () => T) =>
      inTurn(async (gateway) => {
        await ask(gateway, "checkpoint");
        return action();
      }),
    /** Ends Postgres and all its clients; the next client opens it again. */
    restart: (reason: string) => engine.kill().then(() => crashed(reason)),
    /** Shuts it down in good order, or at once when a client does not let it. */
    async close() {
      closing = true;
      engine.cancel();
      await Promise.race([inTurn(() => engine.close()).catch(() => {}), setTimeout(1000, undefined, { ref: false })]);
      await kill();
    },
    /** Ends it at once, for a database that is dropped. */
    kill,
  };
  scheduleJobs(database);
  return database;
}
