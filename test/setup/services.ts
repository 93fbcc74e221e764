// What a test file asks for its database and its Kafka.
//
//   let db: TestDatabase;
//   beforeAll(async () => { db = await testDatabase(); });
//   afterAll(() => db.drop());
//
// How it works: global.ts runs once before all test files. It chooses the servers (servers.ts): those that DATABASE_URL and
// KAFKA_BROKERS name, else containers where a Docker engine answers (containers.ts), else the local services of npm start in
// child processes (embedded.ts). Then template.ts migrates one template database, current.sql included, and each call of
// testDatabase() gives a copy of it, some 0.1 s old. A copy is a real database: test what commits, refreshes or locks in a copy
// of your own, and everything else in `db.sql.begin` with a rollback. Kafka is shared by all test files: name topics and groups
// with `unique()`.
//
// Jobs: TimescaleDB's jobs are there as in production, but not scheduled, so that no policy runs behind the back of a test.
// Run one by `call run_job(id)`, or ask for testDatabase({ jobs: true }).
//
// A test that a server cannot run says so and is not passed over in silence: `context.skip("pg_dump is not installed")`; the
// reason is in the report, and .ci/run counts it.

import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import { connect, type Sql } from "../../src/db.ts";
import { copyTemplate, dropDatabase, startScheduler } from "./template.ts";

export type TestDatabase = {
  /** Connection string of the copy, as for DATABASE_URL. */
  url: string;
  /** A pool of 4 connections to it. */
  sql: Sql;
  /** Closes the pool and drops the copy. */
  drop: () => Promise<void>;
};

/** A fresh copy of the migrated database; with `jobs`, TimescaleDB's jobs run in it when they are due. */
export async function testDatabase(options: { jobs?: boolean } = {}): Promise<TestDatabase> {
  const { server, template } = inject("database");
  const url = await copyTemplate(server, template, unique(template));
  const sql = connect(url, "stacklens test");
  await opened(sql);
  if (options.jobs) {
    await sql`select alter_job(job_id, scheduled => true) from timescaledb_information.jobs`;
    await startScheduler(sql);
  }
  return {
    url,
    sql,
    drop: async () => {
      await sql.end({ timeout: 5 });
      await dropDatabase(server, url);
    },
  };
}

/** Waits for the first connection: a busy machine can take longer to open an embedded database than connect() waits. */
async function opened(sql: Sql, tries = 5): Promise<void> {
  try {
    await sql`select 1`;
  } catch (error) {
    if ((error as { code?: string }).code !== "CONNECT_TIMEOUT" || tries === 1) throw error;
    await opened(sql, tries - 1);
  }
}

/** The Kafka of this run. */
export function testKafka(): { brokers: string[] } {
  return { brokers: inject("kafka").brokers };
}

/** Which servers this run has: "environment", "docker" or "embedded". */
export function testServers(): { database: string; kafka: string } {
  return { database: inject("database").where, kafka: inject("kafka").where };
}

/** A name that no other test of any run has, for topics and consumer groups. */
export function unique(name: string): string {
  return `${name}_${randomBytes(5).toString("hex")}`;
}
