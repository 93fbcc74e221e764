import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Api, startApi } from "../graphql/api.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { proxy, type TcpProxy, through } from "./proxy.ts";

let db: TestDatabase;
let link: TcpProxy;
let api: Api;

beforeAll(async () => {
  db = await testDatabase();
  const { hostname, port } = new URL(db.url);
  link = await proxy(hostname, Number(port || 5432));
  api = await startApi(through(db.url, link));
});
afterAll(async () => {
  await api.stop();
  await link.down();
  await db.drop();
});

const rules = () => api.query("{ alertRules(first: 1) { nodes { id } } }");
const ready = async () => (await fetch(`${api.url}/readyz?only=database,migrations`)).status;

test("while the database is away, GraphQL says so and /readyz is 503; afterwards both work again by themselves", async () => {
  expect((await rules()).errors).toBeUndefined();
  expect(await ready()).toBe(200);

  for (let outage = 1; outage <= 2; outage++) {
    await link.down();
    expect(await rules()).toMatchObject({
      status: 200,
      data: { alertRules: null },
      errors: [
        { message: expect.stringContaining("The database cannot be reached"), extensions: { code: "UNAVAILABLE" } },
      ],
    });
    expect(await ready()).toBe(503);
    expect((await fetch(`${api.url}/healthz`)).status).toBe(200);
    expect(await (await fetch(`${api.url}/metrics`)).text()).toContain("\nstacklens_database_up 0\n");

    await link.up();
    expect((await rules()).errors).toBeUndefined();
    for (const until = Date.now() + 5_000; (await ready()) !== 200 && Date.now() < until; ) await sleep(100);
    expect(await ready()).toBe(200);
  }
});
