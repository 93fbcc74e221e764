import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { type Api, startApi } from "./api.ts";

let db: TestDatabase;
let api: Api;

beforeAll(async () => {
  db = await testDatabase();
  api = await startApi(db.url);
});
afterAll(async () => {
  await api.stop();
  await db.drop();
});

test.each([
  [
    "a time that is none",
    `{ metrics1min(condition: { since: "yesterdayish" }) { totalCount } }`,
    "invalid input syntax",
  ],
  ["an objective above 100", `{ sla(objective: 150) { nodes { service } } }`, "the objective is 150"],
  ["a period that is not positive", `{ sla(period: { hours: 0 }) { nodes { service } } }`, "must be longer than zero"],
  ["a cursor of something else", `{ metrics1min(after: "WyJ4Il0=") { nodes { bucket } } }`, "cursor"],
])("%s is the client's error, and says what is wrong", async (_name, query, message) => {
  const { errors } = await api.query(query);
  expect(errors).toMatchObject([{ extensions: { code: "BAD_REQUEST" } }]);
  expect(errors![0]!.message).toContain(message);
});

test.each([
  String.raw`{ metrics(resolution: ONE_MINUTE, service: "w\u0000b") { nodes { bucket } } }`,
  String.raw`{ slowestServices(condition: { service: "\u0000" }) { totalCount } }`,
  String.raw`mutation { createSilence(input: { silence: { reason: "\u0000", endsAt: "2100-01-01T00:00:00Z" } }) { silence { id } } }`,
  String.raw`mutation { updateAlertRule(input: { id: "error_spike", patch: { labels: { note: "\u0000" } } }) { alertRule { id } } }`,
])("a text with NUL is refused in plain words: %s", async (query) => {
  const { errors } = await api.query(query);
  expect(errors).toMatchObject([
    { message: "A text must not contain the character NUL (U+0000)", extensions: { code: "BAD_REQUEST" } },
  ]);
});

test("a required argument that is missing is named", async () => {
  const { status, errors } = await api.query("{ metrics { nodes { bucket } } }");
  expect(status).toBe(400);
  expect(errors![0]!.message).toContain('argument "resolution"');
});

test("a query cannot write, even through a function that would", async () => {
  await db.sql.unsafe(`
    create function internal.really() returns void language sql as 'delete from analytics.alert_rules';
    create function analytics.sneaky() returns text language plpgsql stable as $$
    begin
      perform internal.really();
      return 'done';
    end $$`);
  const own = await startApi(db.url); // the schema is read at the start
  try {
    const { errors } = await own.query("{ sneaky }");
    expect(errors).toMatchObject([{ extensions: { code: "READ_ONLY" } }]);
    expect(await db.sql`select from analytics.alert_rules`).toHaveLength(6);
  } finally {
    await own.stop();
    await db.sql`drop function analytics.sneaky(), internal.really()`;
  }
});

test("what is our fault is told by an id only", async () => {
  await db.sql`alter view analytics.slowest_services rename to slowest_services_secretly_renamed`;
  try {
    const { errors } = await api.query("{ slowestServices { nodes { service } } }");
    expect(errors).toMatchObject([{ extensions: { code: "INTERNAL", id: expect.stringMatching(/^[0-9a-f-]{36}$/) } }]);
    expect(JSON.stringify(errors)).not.toMatch(/relation|does not exist|42P01|select/i);
  } finally {
    await db.sql`alter view analytics.slowest_services_secretly_renamed rename to slowest_services`;
  }
});

test("a query that takes too long ends after 10 s and says so", async () => {
  await db.sql`
    create function analytics.endless() returns bigint language sql stable
    as 'select count(*) from generate_series(1, 1000000000000)'`;
  const own = await startApi(db.url);
  try {
    const began = performance.now();
    const { data, errors } = await own.query("{ endless }");
    expect(performance.now() - began).toBeGreaterThan(9_000);
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(data.endless).toBeNull();
    expect(errors).toMatchObject([
      { message: expect.stringContaining("within 10 s"), extensions: { code: "TIMEOUT" } },
    ]);
  } finally {
    await own.stop();
    await db.sql`drop function analytics.endless()`;
  }
});
