// The oracle of exactly once: ingesters and the database are killed with kill -9 at random moments under load, and in the end
// every event is there once. The database is an embedded one of its own, since it must be one that may be killed.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../../local/ports.ts";
import { connect } from "../../src/db.ts";
import { migrate } from "../../tools/migrate.ts";
import { testKafka } from "../setup/services.ts";
import { numbered, type Topic, testTopic } from "./pipeline.ts";

const CHAOS_MS = 35_000;
const EVENTS_A_SEND = 200;
const SEND_EVERY_MS = 40; // 5 000 events a second

let dataDir: string;
let port: number;
let database: ChildProcess;
let topic: Topic;
const ingesters: ChildProcess[] = [];

const databaseUrl = () => `postgres://postgres@127.0.0.1:${port}/stacklens`;

async function startDatabase(): Promise<void> {
  const options = ["--data-dir", dataDir, "--port", String(port), "--tuning", "test"];
  database = spawn(process.execPath, ["local/database.ts", ...options], { stdio: ["ignore", "pipe", "inherit"] });
  await once(database.stdout!, "data"); // says that it is ready
}

function startIngester(): void {
  const env = {
    ...process.env,
    DATABASE_URL: databaseUrl(),
    KAFKA_BROKERS: testKafka().brokers.join(","),
    INGEST_TOPIC: topic.name,
    INGEST_GROUP: topic.name,
  };
  ingesters.push(spawn(process.execPath, ["src/ingest/main.ts"], { env, stdio: ["ignore", "ignore", "inherit"] }));
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** Sum of the stored offsets. */
async function offsets(): Promise<number> {
  const sql = connect(databaseUrl(), "exactly once test", 1);
  try {
    const [row] = await sql`select coalesce(sum(next_offset), 0)::int as next from internal.ingest_offsets`;
    return row!.next;
  } finally {
    await sql.end();
  }
}

/** Waits until something more is stored. */
async function progress(): Promise<void> {
  const before = await offsets();
  await expect.poll(offsets, { timeout: 30_000, interval: 100 }).toBeGreaterThan(before);
}

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "stacklens-exactly-once-"));
  port = await freePort();
  topic = await testTopic("exactly_once", 4);
  await startDatabase();
  await migrate(databaseUrl(), { current: true });
});

afterAll(async () => {
  await Promise.all(ingesters.map(kill));
  await kill(database);
  await rm(dataDir, { recursive: true, force: true });
  await topic.close();
});

it("every event is stored once, whoever is killed", { timeout: 120_000 }, async () => {
  let sent = 0;
  let sending = true;
  const load = (async () => {
    for (; sending; await sleep(SEND_EVERY_MS)) {
      await topic.send(numbered(sent, EVENTS_A_SEND));
      sent += EVENTS_A_SEND;
    }
  })();
  startIngester();
  startIngester();

  const kills = { ingester: 0, database: 0 };
  for (const end = Date.now() + CHAOS_MS; Date.now() < end; ) {
    await progress(); // so that every kill hits batches on their way
    await sleep(Math.random() * 800);
    // The partitions of a dead ingester wait for its session to time out, so two of three rounds are for the database.
    if ((kills.ingester + kills.database) % 3 === 1) {
      await kill(ingesters.shift()!);
      kills.ingester++;
      startIngester();
    } else {
      await kill(database);
      kills.database++;
      await startDatabase();
    }
  }
  console.log(`killed: ${kills.ingester} ingesters, the database ${kills.database} times, with ${sent} events sent`);
  expect(kills.ingester).toBeGreaterThan(0);
  expect(kills.database).toBeGreaterThan(1);
  sending = false;
  await load;

  const ends = await topic.admin.fetchTopicOffsets(topic.name);
  const end = ends.reduce((sum, { high }) => sum + Number(high), 0);
  await expect.poll(offsets, { timeout: 40_000, interval: 250 }).toBe(end);
  const sql = connect(databaseUrl(), "exactly once test", 1);
  const [found] = await sql`
    select count(*)::int as rows, count(distinct request_id)::int as distinct, max(request_id::int) + 1 as sent
    from analytics.events`;
  await sql.end();
  expect(found).toEqual({ rows: sent, distinct: sent, sent });
});
