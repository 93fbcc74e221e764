import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Server, sharedServer } from "./server.ts";

let server: Server;
beforeAll(async () => {
  server = await sharedServer();
});
afterAll(() => server.stop());

/** A client that writes down what it hears. */
async function listener(...channels: string[]) {
  const client = await server.client();
  const heard: string[] = [];
  client.on("notification", ({ channel, payload }) => heard.push(`${channel}: ${payload}`));
  if (channels.length > 0) await client.query(channels.map((channel) => `listen ${channel}`).join("; "));
  return { client, heard };
}

test("a notification reaches those who listen to its channel, idle as they are, and nobody else", async () => {
  const [one, both, none] = [await listener("one"), await listener("one", '"Two: 2"'), await listener()];
  await server.psql(`notify one, 'first'; notify "Two: 2", 'second'; notify three; select pg_notify('one', 'third')`);
  await setTimeout(100);
  expect(one.heard).toEqual(["one: first", "one: third"]);
  expect(both.heard).toEqual(["one: first", "Two: 2: second", "one: third"]);
  expect(none.heard).toEqual([]);
});

test("a notification comes with the commit, and not with a rollback", async () => {
  const { heard } = await listener("commits");
  const sender = await server.client();
  await sender.query("begin; notify commits, 'rolled back'; rollback");
  await sender.query("begin");
  await sender.query("notify commits, 'committed'");
  await setTimeout(50);
  expect(heard).toEqual([]);
  await sender.query("commit");
  await setTimeout(100);
  expect(heard).toEqual(["commits: committed"]);
});

test("UNLISTEN and DISCARD ALL of one client leave the others listening", async () => {
  const [first, second, third] = [await listener("shared"), await listener("shared"), await listener("shared")];
  await first.client.query("unlisten shared");
  await second.client.query("discard all");
  await server.psql("notify shared, 'now'");
  await setTimeout(100);
  expect([first.heard, second.heard, third.heard]).toEqual([[], [], ["shared: now"]]);
});

test("a client that vanishes while it listens disturbs nobody", async () => {
  const [vanishing, other] = [await listener("leaving"), await listener("leaving")];
  await vanishing.client.end();
  await server.psql("notify leaving, 'still'");
  await setTimeout(100);
  expect(other.heard).toEqual(["leaving: still"]);
});
