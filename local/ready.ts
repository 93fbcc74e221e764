// Waiting until a service answers, without a limit: a slow machine is slow, and a service that died is noticed elsewhere.

import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "../src/db.ts";
import { reason } from "../src/log.ts";

const PAUSE_MS = 100;
const TELL_AFTER_MS = 10_000;

/** Waits until the database answers a query; makes the database if the server has none of that name. */
export async function untilDatabase(databaseUrl: string, onWait: (why: string) => void): Promise<void> {
  await until(onWait, async () => {
    const sql = connect(databaseUrl, "stacklens start", 1);
    try {
      await sql`select 1`;
    } catch (error) {
      if ((error as { code?: string }).code !== "3D000") return reason(error);
      await createDatabase(databaseUrl);
    } finally {
      await sql.end();
    }
  });
}

/** Waits until the URL answers 200. */
export async function untilOk(url: string, onWait: (why: string) => void): Promise<void> {
  await until(onWait, async () => {
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) });
      const body = await answer.text();
      return answer.ok ? undefined : body.replace(/\s+/g, " ").slice(0, 300);
    } catch (error) {
      return reason((error as Error).cause ?? error);
    }
  });
}

/** Tries until `attempt` answers nothing; tells its reason every 10 s. */
async function until(onWait: (why: string) => void, attempt: () => Promise<string | undefined>): Promise<void> {
  for (let told = Date.now(); ; await sleep(PAUSE_MS)) {
    const why = await attempt();
    if (why === undefined) return;
    if (Date.now() - told < TELL_AFTER_MS) continue;
    told = Date.now();
    onWait(why);
  }
}

async function createDatabase(databaseUrl: string): Promise<void> {
  const url = new URL(databaseUrl);
  const name = url.pathname.slice(1);
  url.pathname = "/postgres";
  const sql = connect(url.href, "stacklens start", 1);
  await sql`create database ${sql(name)}`.finally(() => sql.end());
}
