import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../local/ports.ts";
import { ensureTopics, kafkaClient } from "../../src/kafka.ts";
import { type TestDatabase, testDatabase, testKafka, unique } from "../setup/services.ts";

// npm start on the servers of this run: what it does with its own, local/kafka.test.ts and local/database.test.ts show.

let db: TestDatabase;
let env: Record<string, string>;

beforeAll(async () => {
  db = await testDatabase();
  env = {
    DATABASE_URL: db.url,
    KAFKA_BROKERS: testKafka().brokers.join(","),
    INGEST_TOPIC: unique("start-events"),
    ALERT_TOPIC: unique("start-alerts"),
    INGEST_GROUP: unique("start"),
  };
  const kafka = kafkaClient({ kafka: { brokers: testKafka().brokers, ssl: false } }, "stacklens-test");
  await ensureTopics(kafka, [
    { topic: env.INGEST_TOPIC!, numPartitions: 1 },
    { topic: env.ALERT_TOPIC!, numPartitions: 1 },
  ]);
});
afterAll(() => db.drop());

type Run = { child: ChildProcess; port: number; output: () => string; status: Promise<number | null> };
const runs: Run[] = [];

async function start(more: Record<string, string> = {}): Promise<Run> {
  const port = await freePort();
  const child = spawn(process.execPath, ["local/start.ts"], {
    env: { ...process.env, ...env, PORT: String(port), ...more },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (data) => (output += data));
  const status = once(child, "close").then(([code]) => code as number | null);
  const run = { child, port, output: () => output, status };
  runs.push(run);
  return run;
}

afterEach(async () => {
  for (const run of runs.splice(0)) {
    run.child.kill("SIGTERM");
    await run.status;
  }
});

async function until(what: string, happened: () => boolean | Promise<boolean>, run: Run): Promise<void> {
  for (const end = Date.now() + 90_000; !(await happened()); await sleep(50))
    if (Date.now() > end || run.child.exitCode !== null) throw new Error(`not ${what}:\n${run.output()}`);
}

const ready = (run: Run) => until("ready", () => run.output().includes("StackLens is ready."), run);

/** The processes that npm start has started, by the script they run. */
function children(run: Run): Map<string, number> {
  const all = execFileSync("ps", ["-eo", "pid=,ppid=,args="], { encoding: "utf8" }).split("\n");
  const own = all
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
    .filter((parts) => Number(parts?.[2]) === run.child.pid);
  return new Map(own.map((parts) => [/\S+\.ts/.exec(parts![3]!)?.[0] ?? parts![3]!, Number(parts![1])]));
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("npm start", { timeout: 120_000 }, () => {
  test("says where everything is when everything answers, and stops within 5 s with nothing left", async () => {
    const run = await start();
    await ready(run);
    const answer = await fetch(`http://127.0.0.1:${run.port}/readyz`);
    expect(answer.status).toBe(200);
    const page = await fetch(`http://127.0.0.1:${run.port}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: "{ __typename }" }),
    });
    expect(await page.json()).toEqual({ data: { __typename: "Query" } });
    expect(run.output()).toContain(`http://127.0.0.1:${run.port}/graphql`);
    expect(run.output()).toContain(env.KAFKA_BROKERS);
    expect(run.output()).toContain("npm run publish -- --service web --into-last 30m access.log");

    const started = children(run);
    expect([...started.keys()]).toEqual(
      expect.arrayContaining(["src/ingest/main.ts", "src/tasks/main.ts", "src/server.ts"]),
    );
    expect([...started.keys()].filter((script) => script.startsWith("local/"))).toEqual([]);
    const began = Date.now();
    run.child.kill("SIGINT");
    expect(await run.status).toBe(0);
    while ([...started.values()].some(alive) && Date.now() - began < 5_000) await sleep(20); // a guard takes a moment to go
    expect([...started.values()].filter(alive)).toEqual([]);
    expect(Date.now() - began).toBeLessThan(5_000);
  });

  test("starts a part again that was killed", async () => {
    const run = await start();
    await ready(run);
    const worker = children(run).get("src/tasks/main.ts")!;
    process.kill(worker, "SIGKILL");
    await until("started again", () => (children(run).get("src/tasks/main.ts") ?? worker) !== worker, run);
    expect(run.output()).toMatch(/worker +\| ended \(SIGKILL\), starts again in 1 s/);
  });

  test("leaves nothing behind when it is killed itself", async () => {
    const run = await start();
    await ready(run);
    const started = [...children(run).values()];
    run.child.kill("SIGKILL");
    for (const end = Date.now() + 10_000; started.some(alive) && Date.now() < end; ) await sleep(50);
    expect(started.filter(alive)).toEqual([]);
  });

  test("names the part that ends before it is ready, and ends", async () => {
    const run = await start();
    await until("started", () => children(run).has("src/tasks/main.ts"), run);
    process.kill(children(run).get("src/tasks/main.ts")!, "SIGKILL");
    expect(await run.status).toBe(1);
    expect(run.output()).toContain("worker ended (SIGKILL) before it was ready");
    expect(run.output()).not.toContain("StackLens is ready");
  });

  test("a busy port and a wrong environment are one line each", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const busy = await start({ PORT: String(port) });
    expect(await busy.status).toBe(1);
    expect(busy.output()).toBe(
      `port ${port}, for the server, is busy: stop what listens on it, or set PORT to another one\n`,
    );
    taken.close();

    const wrong = await start({ LOG_LEVEL: "loud" });
    expect(await wrong.status).toBe(2);
    expect(wrong.output()).toBe('LOG_LEVEL is "loud": use one of debug, info, warn, error\n');
  });
});
