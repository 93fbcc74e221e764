// What live connections may not do.

import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { QUEUE } from "../../src/live/changes.ts";
import { LIVE } from "../../src/live/operations.ts";
import { type Api, post, startApi } from "../graphql/api.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { overEventStream, overWebSocket, until } from "./clients.ts";

let db: TestDatabase;
let api: Api;

beforeAll(async () => {
  db = await testDatabase();
  api = await startApi(db.url, { corsOrigins: ["https://dashboards.example"] });
});
afterAll(async () => {
  await api.stop();
  await db.drop();
});

const CHANGES = "subscription { alertChanged { history { id } } }";
type Socket = { socket: WebSocket; messages: { id?: string; type: string; payload?: unknown }[] };

/** A client that does as it is told, not as the protocol says. */
async function rawSocket(init = true, options: object = {}): Promise<Socket> {
  const socket = new WebSocket(`${api.url.replace("http", "ws")}/graphql`, "graphql-transport-ws", options);
  const messages: Socket["messages"] = [];
  socket.on("message", (data) => messages.push(JSON.parse(String(data))));
  await once(socket, "open");
  if (init) {
    socket.send(JSON.stringify({ type: "connection_init" }));
    await until("the acknowledgement", () => messages.length === 1);
  }
  return { socket, messages };
}

const subscribe = (id: string, query: string) => JSON.stringify({ id, type: "subscribe", payload: { query } });

/** What an upgrade is answered with that is refused. */
async function refusal(options: object, path = "/graphql"): Promise<number | undefined> {
  const socket = new WebSocket(`${api.url.replace("http", "ws")}${path}`, "graphql-transport-ws", options);
  const [error] = await Promise.race([once(socket, "error"), once(socket, "open")]);
  socket.terminate();
  return error && Number(/response: (\d+)/.exec(String(error))?.[1]);
}

describe("the origin of a WebSocket", () => {
  test("foreign pages are refused", async () => {
    for (const origin of ["https://evil.example", "https://dashboards.example.evil.example", "null"])
      expect(await refusal({ origin }), origin).toBe(403);
  });

  test("our own pages, those of CORS_ORIGINS and clients that are no browser are not", async () => {
    for (const options of [{ origin: api.url }, { origin: "https://dashboards.example" }, {}])
      expect(await refusal(options)).toBeUndefined();
  });

  test("there are WebSockets at /graphql alone", async () => {
    expect(await refusal({}, "/metrics")).toBe(404);
  });
});

test("one client has so many connections, of both kinds together, and gets a place back", async () => {
  const stream = overEventStream(api.url).subscribe("subscription { serviceHealth { service } }");
  await until("the stream", () => stream.results.length > 0);
  const sockets: Socket[] = [];
  // Connections of the tests before may still be closing.
  const wanted = LIVE.connectionsOfClient - 1;
  await until(
    "all places",
    async () => {
      await rawSocket().then(
        (it) => sockets.push(it),
        () => {},
      );
      return sockets.length === wanted;
    },
    30_000,
  );
  expect(await refusal({})).toBe(503);
  sockets[0]!.socket.terminate();
  await until("a place", async () => (await refusal({})) === undefined);
  await stream.stop();
  for (const { socket } of sockets) socket.terminate();
});

describe("over a WebSocket", () => {
  test("a message that is too large closes the connection", async () => {
    const { socket } = await rawSocket();
    socket.send(subscribe("1", `# ${"x".repeat(LIVE.messageBytes)}\n${CHANGES}`));
    expect((await once(socket, "close"))[0]).toBe(1009);
  });

  test("what is no message closes the connection", async () => {
    const { socket } = await rawSocket();
    socket.send("no JSON");
    expect((await once(socket, "close"))[0]).toBe(4400);
  });

  test("who says nothing is disconnected", async () => {
    const { socket } = await rawSocket(false);
    expect((await once(socket, "close"))[0]).toBe(4408);
  });

  test("there are so many subscriptions of one connection", async () => {
    const { socket, messages } = await rawSocket();
    for (let n = 1; n <= LIVE.subscriptions + 1; n++) socket.send(subscribe(String(n), CHANGES));
    await until("the refusal", () => messages.some(({ type }) => type === "error"));
    expect(messages.slice(1)).toEqual([
      {
        id: String(LIVE.subscriptions + 1),
        type: "error",
        payload: [
          expect.objectContaining({
            message: expect.stringContaining(`${LIVE.subscriptions} subscriptions`),
            extensions: { code: "BAD_REQUEST" },
          }),
        ],
      },
    ]);
    // One ends: there is a place again.
    socket.send(JSON.stringify({ id: "1", type: "complete" }));
    socket.send(subscribe("again", "subscription { serviceHealth { service } }"));
    await until("a result", () => messages.some(({ id, type }) => id === "again" && type === "next"));
    socket.close();
  });

  test("for who reads too slowly so many changes wait, then the subscription ends; others go on", async () => {
    const { socket, messages } = await rawSocket();
    const long = "a".repeat(2_000); // of a result, so that they do not all fit into the buffers of the system
    socket.send(subscribe("1", `subscription { alertChanged { history { ${long}: id } } }`));
    const quick = overWebSocket(api.url).subscribe(CHANGES);
    await sleep(500);
    socket.pause();
    const commits = 4;
    for (let n = 1; n <= commits; n++) {
      await db.sql`
        insert into analytics.alert_history (alert_id, rule_id, rule_version, service, status, reason, as_of)
        select n, 'any', 1, 'flood', 'pending', 'breach', now() from generate_series(1, ${QUEUE / 2}::int) as n`;
      await until("the quick one has it", () => quick.results.length === (n * QUEUE) / 2, 20_000);
    }
    socket.resume();
    await until("the end", () => messages.some(({ type }) => type === "error"), 20_000);
    expect(messages.at(-1)).toMatchObject({ id: "1", payload: [{ extensions: { code: "MISSED_CHANGES" } }] });
    expect(messages.length).toBeLessThan((commits * QUEUE) / 2);
    expect(quick.ended()).toBeUndefined();
    await quick.stop();
    socket.close();
  });

  test("who does not read is disconnected", async () => {
    const { socket } = await rawSocket();
    socket.pause();
    const closed = once(socket, "close");
    const ping = JSON.stringify({ type: "ping", payload: { x: "x".repeat(50_000) } });
    const flood = setInterval(() => {
      for (let n = 0; n < 40 && socket.readyState === WebSocket.OPEN; n++) socket.send(ping);
    }, 20);
    await closed.finally(() => clearInterval(flood));
  });
});

describe.each([
  ["WebSocket", overWebSocket],
  ["server-sent events", overEventStream],
])("over %s", (_name, over) => {
  /** The errors that a subscription is answered with, wherever this protocol puts them. */
  const errorsOf = async (query: string) => {
    const subscription = over(api.url).subscribe(query);
    await until("the end", () => subscription.ended() !== undefined);
    const ended = subscription.ended();
    await subscription.stop();
    return Array.isArray(ended) ? ended : subscription.results[0]?.errors;
  };

  test("queries have the bounds that they have in HTTP", async () => {
    const aliases = Array.from({ length: 201 }, (_, n) => `a${n}: id`).join(" ");
    expect(await errorsOf(`subscription { alertChanged { history { ${aliases} } } }`)).toMatchObject([
      { extensions: { code: "QUERY_TOO_LARGE" } },
    ]);
  });

  test("queries that are wrong are told why", async () => {
    expect(await errorsOf("subscription { nothing }")).toMatchObject([
      { message: expect.stringContaining("Cannot query field") },
    ]);
    expect(await errorsOf("subscription {")).toMatchObject([{ message: expect.stringContaining("Syntax Error") }]);
    expect(
      await errorsOf("subscription { a: alertChanged { history { id } } b: alertChanged { history { id } } }"),
    ).toMatchObject([{ message: expect.stringContaining("must select only one top level field") }]);
  });

  test("nothing but subscriptions", async () => {
    expect(await errorsOf("{ services { nodes { service } } }")).toMatchObject([
      { message: expect.stringContaining("send a query by POST"), extensions: { code: "BAD_REQUEST" } },
    ]);
    expect(await errorsOf('mutation { deleteAlertRule(input: { id: "x" }) { alertRule { id } } }')).toMatchObject([
      { message: expect.stringContaining("send a mutation by POST") },
    ]);
  });
});

test("a subscription that asks for JSON is refused", async () => {
  const { status, errors } = await post(api.url, { query: CHANGES });
  expect(status).toBe(400);
  expect(errors).toMatchObject([{ message: expect.stringContaining("text/event-stream") }]);
});

test("an event stream that is read slowly gets everything, and leaves nothing behind for each wait", async () => {
  const warnings: string[] = [];
  const warned = ({ message }: Error) => warnings.push(message); // too many listeners, for instance
  process.on("warning", warned);
  const changes = 5_000;
  const long = "a".repeat(2_000);
  const response = await fetch(`${api.url}/graphql`, {
    method: "POST",
    headers: { Accept: "text/event-stream", "Content-Type": "application/json" },
    body: JSON.stringify({ query: `subscription { alertChanged(service: "slow") { history { ${long}: id } } }` }),
  });
  await db.sql`
    insert into analytics.alert_history (alert_id, rule_id, rule_version, service, status, reason, as_of)
    select n, 'any', 1, 'slow', 'pending', 'breach', now() from generate_series(1, ${changes}::int) as n`;
  await sleep(500);
  let lines = 0; // three for each change
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    lines += chunk.split("\n").length - 1;
    if (lines >= 3 * changes) break;
  }
  process.off("warning", warned);
  expect(warnings).toEqual([]);
});

test("an event stream with a body that is too large, or no JSON", async () => {
  const send = async (type: string, body: string) => {
    const headers = { Accept: "text/event-stream", "Content-Type": type };
    return (await fetch(`${api.url}/graphql`, { method: "POST", headers, body })).status;
  };
  expect(await send("application/json", JSON.stringify({ query: `# ${"x".repeat(LIVE.messageBytes)}` }))).toBe(413);
  expect(await send("application/json", "{")).toBe(400);
  expect(await send("text/plain", "{}")).toBe(415);
});

test("a subscription whose only field is skipped is refused, and the others of its connection go on", async () => {
  const { socket, messages } = await rawSocket();
  socket.send(subscribe("going on", "subscription { serviceHealth { service } }"));
  socket.send(subscribe("nothing", "subscription { alertChanged @skip(if: true) { history { id } } }"));
  await until("the refusal", () => messages.some(({ id }) => id === "nothing"));
  const refused = messages.filter(({ id }) => id === "nothing");
  expect(JSON.stringify(refused)).toContain("The subscription selects no field");
  expect(socket.readyState).toBe(WebSocket.OPEN);
  await until("the other one's results", () => messages.some(({ id, type }) => id === "going on" && type === "next"));
  socket.terminate();
});
