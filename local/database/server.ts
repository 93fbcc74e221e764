// The TCP side: startup, login, cancel requests; then each connection is a session of one database.
import { createServer, type Server, type Socket } from "node:net";
import { databaseCommand } from "./commands.ts";
import { newClient, newGateway, type Rows } from "./database.ts";
import type { Databases } from "./databases.ts";
import { createSession, type Session } from "./session.ts";
import { quote } from "./settings.ts";
import { createSplitter, error, message, readyForQuery, typeOf } from "./wire.ts";

const sslRequest = 80877103;
const gssRequest = 80877104;
const cancelRequest = 80877102;

/** What a client is told at its login, as PostgreSQL does. */
const reported = `server_version server_encoding client_encoding application_name default_transaction_read_only
  in_hot_standby is_superuser session_authorization DateStyle IntervalStyle TimeZone integer_datetimes
  standard_conforming_strings scram_iterations`.split(/\s+/);

/** The settings that a client asks for in its first message, in `options` too. */
function startSettings(parameters: Map<string, string>): Map<string, string> {
  const settings = new Map(parameters);
  for (const other of ["user", "database", "options", "replication"]) settings.delete(other);
  for (const [, key, value] of (parameters.get("options") ?? "").matchAll(/(?:-c\s*|--)([\w.-]+)=((?:\\.|\S)*)/g)) {
    settings.set(key!.replaceAll("-", "_"), value!.replaceAll(/\\(.)/g, "$1"));
  }
  return settings;
}

export interface Gateway {
  server: Server;
  /** Ends all clients and takes no more. */
  stop(): void;
}

export function createGateway(databases: Databases): Gateway {
  const sessions = new Map<number, { session: Session; secret: number; database: string }>();
  let lastId = 0;

  const connected = (database: string) =>
    [...sessions.values()].filter((entry) => entry.database === database).map(({ session }) => session.client);

  const login = async (socket: Socket, parameters: Map<string, string>): Promise<Session | undefined> => {
    const refuse = (code: string, text: string) => {
      socket.end(error("FATAL", code, text));
      return undefined;
    };
    const user = parameters.get("user") ?? "";
    const name = parameters.get("database") || user;
    if (!databases.exists(name)) return refuse("3D000", `database "${name}" does not exist`);
    const database = await databases.open(name);
    const settings = startSettings(parameters);
    const client = newClient({ oid: 0, role: user }, settings);
    let status: Rows;
    database.clients.add(client);
    let welcome = false;
    await database.turns.acquire(client);
    try {
      const [role] = await database.ask(
        newGateway(),
        `select oid, rolcanlogin, rolconnlimit,
          (select array_to_string(array_agg(option), e'\\n') from pg_db_role_setting, unnest(setconfig) option
            where setrole in (0, pg_roles.oid) and setdatabase in (0, 1)
              -- they are set as the role itself: what only a superuser sets, such as temp_file_limit, is left out
              and not exists (select from pg_settings where name = split_part(option, '=', 1) and context = 'superuser'))
          from pg_roles where rolname = ${quote(user)}`,
      );
      if (!role) return refuse("28000", `role "${user}" does not exist`);
      if (role[1] !== "t") return refuse("28000", `role "${user}" is not permitted to log in`);
      const same = connected(name).filter(({ identity }) => identity.role === user).length;
      if (Number(role[2]) >= 0 && same >= Number(role[2]))
        return refuse("53300", `too many connections for role "${user}"`);
      client.identity.oid = Number(role[0]);
      for (const [, key, value] of (role[3] ?? "").matchAll(/^([\w.]+)=(.*)$/gm)) {
        if (!settings.has(key!)) settings.set(key!, value!);
      }
      const names = reported.map(quote).join(", ");
      status = await database.ask(
        client,
        `select name, setting from pg_catalog.pg_settings where name in (${names})
          union all select 'session_authorization', session_user::text`,
      );
      welcome = !socket.destroyed;
    } catch (reason) {
      const [code, text] = (reason as Error).message.split(/: (.*)/s);
      return refuse(code!, text!);
    } finally {
      if (!welcome) database.clients.delete(client);
      database.turns.release(client);
    }
    if (!welcome) return undefined;
    const id = ++lastId;
    const secret = (Math.random() * 2 ** 31) | 0;
    const session = createSession(id, socket, database, client, (...command) =>
      databaseCommand(...command, databases, connected),
    );
    sessions.set(id, { session, secret, database: name });
    socket.once("close", () => {
      sessions.delete(id);
      session.hangUp();
    });
    socket.write(
      Buffer.concat([
        message("R", 0),
        ...status.map(([key, value]) => message("S", key!, value ?? "")),
        message("K", id, secret),
        readyForQuery("I"),
      ]),
    );
    return session;
  };

  const connection = (socket: Socket) => {
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    let start: Buffer = Buffer.alloc(0);
    const starting = (chunk: Buffer) => {
      start = Buffer.concat([start, chunk]);
      while (start.length >= 8 && start.length >= Math.min(start.readInt32BE(0), 10_000)) {
        const length = start.readInt32BE(0);
        if (length < 8 || length > 10_000) return socket.destroy(); // another protocol
        const code = start.readInt32BE(4);
        const body = start.subarray(8, length);
        start = start.subarray(length);
        if (code === sslRequest || code === gssRequest) socket.write("N");
        else if (code === cancelRequest) {
          const target = sessions.get(body.readInt32BE(0));
          if (target?.secret === body.readInt32BE(4)) target.session.cancel();
          socket.end();
        } else if (code >> 16 !== 3) socket.end(error("FATAL", "0A000", "unsupported frontend protocol"));
        else {
          const words = body.toString("utf8").split("\0");
          const parameters = new Map<string, string>();
          for (let at = 0; words[at]; at += 2) parameters.set(words[at]!, words[at + 1] ?? "");
          const split = createSplitter();
          socket.off("data", starting);
          socket.pause();
          login(socket, parameters).then(
            (session) => {
              if (!session) return;
              const receive = (bytes: Buffer) => {
                const messages = split(bytes);
                if (!messages) return session.client.end("08P01", "invalid message length");
                session.receive(messages);
                if (messages.some((part) => typeOf(part) === "X")) socket.end();
              };
              socket.on("data", receive);
              if (start.length > 0) receive(start);
              socket.resume();
            },
            (reason) => socket.end(error("FATAL", "58000", String(reason.message ?? reason))),
          );
          return;
        }
      }
    };
    socket.on("data", starting);
  };
  const server = createServer({ noDelay: true }, connection);
  return {
    server,
    stop() {
      server.close();
      for (const { session } of sessions.values()) {
        session.client.end("57P01", "terminating connection due to administrator command");
      }
    },
  };
}
