import { once } from "node:events";
import net from "node:net";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createSplitter, message, query, typeOf } from "../../../local/database/wire.ts";
import { failure, type Server, sharedServer } from "./server.ts";

let server: Server;
beforeAll(async () => {
  server = await sharedServer();
});
afterAll(() => server.stop());

const word = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const startup = (user: string, database: string) => {
  const body = Buffer.concat([word(3 << 16), Buffer.from(`user\0${user}\0database\0${database}\0\0`)]);
  return Buffer.concat([word(body.length + 4), body]);
};

/** A connection without a client's help; `heard` are the types of the messages that have come. */
async function raw() {
  const socket = net.connect({ host: "127.0.0.1", port: server.port, noDelay: true });
  await once(socket, "connect");
  const state = { socket, heard: "", closed: false };
  socket.on("error", () => {});
  socket.on("close", () => {
    state.closed = true;
  });
  return state;
}

/** Waits until something is true. */
async function until(condition: () => boolean) {
  for (let i = 0; i < 500 && !condition(); i++) await setTimeout(20);
  expect(condition()).toBe(true);
}

test("a client that asks for TLS is told N, and then served, even when its bytes come one by one", async () => {
  const client = await raw();
  client.socket.write(Buffer.concat([word(8), word(80877103)]));
  const [answer] = await once(client.socket, "data");
  expect(String(answer)).toBe("N");
  const split = createSplitter();
  client.socket.on("data", (bytes) => {
    client.heard += split(bytes)!.map(typeOf).join("");
  });
  for (const byte of startup("postgres", server.database)) {
    client.socket.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  await until(() => client.heard.endsWith("KZ"));
  client.heard = "";
  for (const byte of Buffer.concat([query("select 1; select 2"), message("X")])) {
    client.socket.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  await until(() => client.closed);
  expect(client.heard).toBe("TDCTDCZ");
});

test("units that come in one piece are answered each, also after an error", async () => {
  const client = await raw();
  const split = createSplitter();
  client.socket.on("data", (bytes) => {
    client.heard += split(bytes)!.map(typeOf).join("");
  });
  client.socket.write(startup("postgres", server.database));
  await until(() => client.heard.endsWith("Z"));
  client.heard = "";
  const none = Buffer.alloc(2);
  const extended = (sql: string) => [
    message("P", "", sql, none),
    message("B", "", "", none, none, none),
    message("E", "", 0),
    message("S"),
  ];
  const units = [
    extended("select 1"),
    extended("select nothing"),
    extended("select 2"),
    [query("select 3"), query("oops")],
  ];
  client.socket.write(Buffer.concat(units.flat()));
  await until(() => client.heard.split("Z").length === 6);
  expect(client.heard).toBe("12DCZEZ12DCZTDCZEZ");
  client.socket.destroy();
});

test("what a client has sent before it took its leave is done", async () => {
  await server.psql("create table left_behind (n int)");
  const client = await raw();
  client.socket.write(startup("postgres", server.database));
  await once(client.socket, "data");
  client.socket.end(
    Buffer.concat([query("select pg_sleep(0.3)"), query("insert into left_behind values (1)"), message("X")]),
  );
  await setTimeout(100);
  expect(await server.psql("select count(*) from left_behind")).toMatch(/^[01]$/);
  await setTimeout(500);
  expect(await server.psql("select count(*) from left_behind")).toBe("1");
});

test("what is not the protocol disturbs nobody", async () => {
  for (const bytes of ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\0\0\0\x01\0\0\0\0", "\0\0\0\x09\0\x09\0\0\0"]) {
    const client = await raw();
    client.socket.write(Buffer.from(bytes, "latin1"));
    client.socket.resume();
    await until(() => client.closed);
  }
  const client = await raw();
  client.socket.write(startup("postgres", server.database));
  await once(client.socket, "data");
  client.socket.resume();
  client.socket.write(Buffer.from("Q\0\0\0\x01garbage", "latin1"));
  await until(() => client.closed);
  const gone = await raw();
  gone.socket.write(startup("postgres", server.database));
  gone.socket.destroy();
  expect(await server.psql("select 'served'")).toBe("served");
  expect((await failure(server.client(undefined, ""))).message).toMatch(/role|user/);
});
