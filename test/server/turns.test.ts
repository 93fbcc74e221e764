// How many requests of one client run at a time: the function on an HTTP server whose answers are held back, then the whole server.

import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { addressOf, turns, WAITING } from "../../src/server/turns.ts";
import { signToken } from "../../tools/token.ts";
import { type Answer, post, SECRET, startApi } from "../graphql/api.ts";
import { testDatabase, testServers } from "../setup/services.ts";

/** A server on which the path says whose request it is; what runs is answered by `answer`. */
async function heldBack(atATime: number) {
  const running: ServerResponse[] = [];
  const turn = turns(atATime);
  const server = createServer((request, response) => turn(request.url!, response, () => running.push(response)));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const ask = async (client: string, signal: AbortSignal | null = null) =>
    (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${client}`, { signal })).status;
  return {
    running,
    ask,
    until: async (count: number) => {
      while (running.length < count) await sleep(5);
      await sleep(50); // for one too many
      expect(running).toHaveLength(count);
    },
    answer: () => running.shift()!.end(),
    close: () => server.close(),
  };
}

test("two run, the others take their turn in order, and another client does not wait for them", async () => {
  const server = await heldBack(2);
  const answers = Array.from({ length: 5 }, () => server.ask("one"));
  await server.until(2);
  const other = server.ask("other");
  await server.until(3);
  for (let left = 6; left > 0; left--) {
    server.answer();
    await sleep(20);
  }
  expect(await Promise.all([...answers, other])).toEqual([200, 200, 200, 200, 200, 200]);
  server.close();
});

test("what is too much to wait is refused", async () => {
  const server = await heldBack(1);
  const answers = Array.from({ length: 1 + WAITING }, () => server.ask("one"));
  await server.until(1);
  while ((await Promise.race([server.ask("one"), sleep(100).then(() => 0)])) !== 429) {}
  while (server.running.length > 0) {
    server.answer();
    await sleep(2);
  }
  expect(new Set(await Promise.all(answers))).toEqual(new Set([200]));
  server.close();
});

test("who leaves gives up the turn, and the place in the line", async () => {
  const server = await heldBack(2);
  const leaving = new AbortController();
  const left = Array.from({ length: 10 }, () => server.ask("one", leaving.signal).catch(() => "left"));
  await server.until(2);
  leaving.abort();
  expect(new Set(await Promise.all(left))).toEqual(new Set(["left"]));
  server.running.length = 0;
  const answer = server.ask("one");
  await server.until(1);
  server.answer();
  expect(await answer).toBe(200);
  server.close();
});

test("the address of a client is the one that the nearest proxy saw, where it is trusted", () => {
  const request = { headers: { "x-forwarded-for": "6.6.6.6, 10.0.0.7" }, socket: { remoteAddress: "10.0.0.1" } };
  expect(addressOf(request, false)).toBe("10.0.0.1");
  expect(addressOf(request, true)).toBe("10.0.0.7");
  expect(addressOf({ ...request, headers: {} }, true)).toBe("10.0.0.1");
});

test("the server bounds what one client does in the database", async ({ skip }) => {
  if (testServers().database === "embedded") skip("the embedded database runs one statement at a time anyway");
  const db = await testDatabase();
  const api = await startApi(db.url, { requestsPerClient: 2 });
  const blocker = await db.sql.reserve();
  const blocked = async () =>
    (
      await db.sql`
        select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query ~ 'silences'`
    ).length;
  try {
    await blocker`begin`;
    await blocker`lock table analytics.silences in access exclusive mode`;
    const answers: Promise<Answer>[] = [];
    for (let i = 0; i < 10; i++) answers.push(api.asViewer("{ silences { nodes { id } } }"));
    while ((await blocked()) < 2) await sleep(20);
    await sleep(300);
    expect(await blocked()).toBe(2);

    const ada = await signToken(SECRET, { role: "viewer", subject: "ada", seconds: 60 });
    expect((await post(api.url, { query: "{ services { totalCount } }" }, ada)).status).toBe(200);

    await blocker`rollback`;
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(10).fill(200));
  } finally {
    blocker.release();
    await api.stop();
    await db.drop();
  }
});
