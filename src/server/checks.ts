// What /readyz asks: the database, its migrations, Kafka, the ingesters. Each check answers within its time, whatever hangs.

import type { Admin } from "kafkajs";
import type { Config } from "../config.ts";
import type { Sql } from "../db.ts";
import { kafkaClient } from "../kafka.ts";
import { reason } from "../log.ts";
import { missingMigrations } from "./migrations.ts";
import { within } from "./within.ts";

export type Check = { ok: boolean; detail?: string; [figure: string]: unknown };
export type Checks = Record<"database" | "migrations" | "kafka" | "ingest" | "graphql", () => Promise<Check>>;

const TIME_MS = 2_000;
const SILENT = 0; // kafkajs's logLevel.NOTHING: what a check finds is in its answer

/** The checks, and the function that lets go of their connections. `hasSchema` says whether GraphQL answers yet. */
export function checks(
  config: Config,
  sql: Sql,
  hasSchema: () => boolean,
): { checks: Checks; release: () => Promise<void> } {
  let admin: Promise<Admin> | undefined;

  const database = async (): Promise<Check> => {
    const [found] = await sql<{ license: string | null }[]>`
      select current_setting('timescaledb.license', true) as license
      from pg_extension where extname = 'timescaledb'`;
    if (!found) return { ok: false, detail: "the database has no TimescaleDB: run `npm run migrate`" };
    if (found.license !== "timescale")
      return {
        ok: false,
        detail: `TimescaleDB's licence is "${found.license}": StackLens needs the Community edition (timescaledb.license = 'timescale')`,
      };
    return { ok: true };
  };

  const migrations = async (): Promise<Check> => {
    const detail = await missingMigrations(sql);
    return detail === undefined ? { ok: true } : { ok: false, detail };
  };

  const kafka = async (): Promise<Check> => {
    admin ??= connectAdmin(config);
    try {
      const { brokers } = await within(TIME_MS, (await admin).describeCluster());
      return { ok: true, brokers: brokers.length };
    } catch (error) {
      void dropAdmin();
      return { ok: false, detail: `no broker of ${config.kafka.brokers.join(", ")} answers: ${reason(error)}` };
    }
  };

  const ingest = async (): Promise<Check> => {
    const [status] = await sql<{ ok: boolean; detail: string | null; lag: string | null; checked_at: Date | null }[]>`
      select * from internal.ingest_status(topic => ${config.ingestTopic})`;
    const { ok, detail, lag, checked_at } = status!;
    return { ok, ...(detail && { detail }), lag: lag === null ? null : Number(lag), checkedAt: checked_at };
  };

  const dropAdmin = async () => {
    const old = admin;
    admin = undefined;
    await old?.then((it) => it.disconnect()).catch(() => {});
  };

  return {
    checks: {
      database: () => answer(database),
      migrations: () => answer(migrations),
      kafka: () => answer(kafka),
      ingest: () => answer(ingest),
      graphql: async () => (hasSchema() ? { ok: true } : { ok: false, detail: "the GraphQL schema is not made yet" }),
    },
    release: dropAdmin,
  };
}

async function connectAdmin(config: Config): Promise<Admin> {
  const client = kafkaClient(config, "stacklens server checks", 0);
  client.logger().setLogLevel(SILENT);
  const admin = client.admin();
  await admin.connect();
  return admin;
}

/** The answer of a check; an error or no answer in time is an answer, too. */
async function answer(check: () => Promise<Check>): Promise<Check> {
  return within(TIME_MS, check()).catch((error) => ({ ok: false, detail: reason(error) }));
}
