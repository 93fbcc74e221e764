// The TCP side: startup, login, cancel requests; then each connection is a session of one database.
import { createServer, type Server, type Socket } from "node:net";
import { databaseCommand } from "./commands.ts";
import type { Databases } from "./databases.ts";
import { login } from "./login.ts";
import { createSession, type Session } from "./session.ts";
import { createSplitter, error, message, readyForQuery } from "./wire.ts";

const sslRequest = 80877103;
const gssRequest = 80877104;
const cancelRequest = 80877102;

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

  /** Opens a session for a client that has said what it wants; undefined when it was refused. */
  const welcome = async (socket: Socket, parameters: Map<string, string>): Promise<Session | undefined> => {
    const name = parameters.get("database") || (parameters.get("user") ?? "");
    const answer = databases.exists(name)
      ? await login(await databases.open(name), parameters)
      : { code: "3D000", text: `database "${name}" does not exist` };
    if ("code" in answer) {
      socket.end(error("FATAL", answer.code, answer.text));
      return undefined;
    }
    const id = ++lastId;
    const secret = (Math.random() * 2 ** 31) | 0;
    const session = createSession(id, socket, answer.database, answer.client, (...command) =>
      databaseCommand(...command, databases, connected),
    );
    if (socket.destroyed) {
      session.hangUp();
      return undefined;
    }
    sessions.set(id, { session, secret, database: name });
    socket.once("close", () => {
      sessions.delete(id);
      session.hangUp();
    });
    socket.write(
      Buffer.concat([
        message("R", 0),
        ...answer.status.map(([key, value]) => message("S", key!, value ?? "")),
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
      while (start.length >= 8) {
        const length = start.readInt32BE(0);
        if (length < 8 || length > 10_000) return socket.destroy(); // another protocol
        if (start.length < length) return;
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
          welcome(socket, parameters).then(
            (session) => {
              if (!session) return;
              const receive = (bytes: Buffer) => {
                const messages = split(bytes);
                if (!messages) return session.client.end("08P01", "invalid message length");
                session.receive(messages);
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
