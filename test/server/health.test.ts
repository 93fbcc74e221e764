import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { freePort } from "../../local/ports.ts";
import { missingMigrations } from "../../src/server/migrations.ts";
import { type Api, startApi } from "../graphql/api.ts";
import { type TestDatabase, testDatabase, unique } from "../setup/services.ts";

let db: TestDatabase;
let api: Api;
const ingestTopic = unique("health");

beforeAll(async () => {
  db = await testDatabase();
  api = await startApi(db.url, { ingestTopic });
});
afterAll(async () => {
  await api.stop();
  await db.drop();
});

async function ready(url = api.url, query = "") {
  const response = await fetch(`${url}/readyz${query}`);
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it
  return { status: response.status, body: (await response.json()) as any };
}

/** What an ingester would have written. */
async function ingester(partition: { lag: number; seen: string; moved: string }) {
  await db.sql`
    insert into internal.ingest_offsets (topic, partition, next_offset, log_end_offset, updated_at, checked_at)
    values (
      ${ingestTopic}, 0, 100, ${100 + partition.lag},
      now() - ${partition.moved}::interval, now() - ${partition.seen}::interval
    )`;
}

test("/healthz says that the process is up", async () => {
  const response = await fetch(`${api.url}/healthz`);
  expect([response.status, await response.text()]).toEqual([200, "ok\n"]);
});

describe("/readyz", () => {
  beforeEach(async () => void (await db.sql`delete from internal.ingest_offsets`));

  test("is 200 when the database, its migrations, Kafka and an ingester are there", async () => {
    await ingester({ lag: 7, seen: "1 s", moved: "1 s" });
    expect(await ready()).toEqual({
      status: 200,
      body: {
        status: "ready",
        checks: {
          database: { ok: true },
          migrations: { ok: true },
          kafka: { ok: true, brokers: 1 },
          ingest: { ok: true, lag: 7, checkedAt: expect.any(String) },
          graphql: { ok: true },
        },
      },
    });
  });

  test.each([
    ["an ingester that has fallen silent", { lag: 0, seen: "45 s", moved: "1 h" }, "no ingester has reported for 45 s"],
    [
      "a partition that is stuck",
      { lag: 3, seen: "1 s", moved: "2 min" },
      "partition 0 has not moved for 120 s, 3 messages wait",
    ],
    ["a backlog of more than a million", { lag: 1_000_001, seen: "1 s", moved: "1 s" }, "1000001 messages behind"],
  ])("is 503 for %s", async (_name, partition, detail) => {
    await ingester(partition);
    const { status, body } = await ready();
    expect(status).toBe(503);
    expect(body.checks.ingest).toMatchObject({ ok: false, detail, lag: partition.lag });
    expect(body.checks.database).toEqual({ ok: true });
  });

  test("is 503 when no ingester ever ran, and 200 for a nothing-to-do one", async () => {
    expect((await ready()).body.checks.ingest).toMatchObject({
      ok: false,
      detail: expect.stringContaining("no ingester"),
    });
    await ingester({ lag: 0, seen: "1 s", moved: "3 days" });
    expect((await ready()).status).toBe(200);
  });

  test("asks only for what `only` names", async () => {
    const { status, body } = await ready(api.url, "?only=database,migrations");
    expect(status).toBe(200);
    expect(Object.keys(body.checks)).toEqual(["database", "migrations"]);
    expect(await ready(api.url, "?only=weather")).toMatchObject({
      status: 400,
      body: { error: 'there is no check "weather": use database, migrations, kafka, ingest, graphql' },
    });
  });

  test("is 503 without Kafka, quickly, and GraphQL answers all the same", async () => {
    const broker = `127.0.0.1:${await freePort()}`;
    const lonely = await startApi(db.url, { kafka: { brokers: [broker], ssl: false }, selfEvents: true });
    try {
      const began = performance.now();
      const { status, body } = await ready(lonely.url);
      expect(performance.now() - began).toBeLessThan(3_000);
      expect(status).toBe(503);
      expect(body.checks.kafka).toMatchObject({
        ok: false,
        detail: expect.stringContaining(`no broker of ${broker} answers`),
      });
      expect((await lonely.query("{ stats { services } }")).errors).toBeUndefined();
    } finally {
      await lonely.stop();
    }
  });
});

describe("migrations", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "stacklens-test-migrations-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const missing = () => missingMigrations(db.sql, pathToFileURL(`${folder}/`));

  test("are current when the database has every committed one", async () => {
    await db.sql`
      insert into graphile_migrate.migrations (hash, filename, date)
      values ('sha1:test', '900001.sql', now())`;
    writeFileSync(join(folder, "900001-here.sql"), "");
    expect(await missing()).toBeUndefined();
  });

  test("are not when one is missing, and it is named with the remedy", async () => {
    writeFileSync(join(folder, "900002-there.sql"), "");
    writeFileSync(join(folder, "900003-next.sql"), "");
    expect(await missing()).toBe("the database lacks 2 migrations, from 900002-there.sql: run `npm run migrate`");
  });
});
