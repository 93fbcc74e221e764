// Ad-hoc queries as the server has them: checked, run, logged, and what went wrong said to the one who asked.

import { isUnreachable } from "../graphql/errors.ts";
import { log, reason } from "../log.ts";
import { check } from "./check.ts";
import { type Answer, execute } from "./execute.ts";
import { adhocPool, adhocUrl, LOGIN } from "./login.ts";
import { Refusal } from "./refusal.ts";

export type AdhocQueries = {
  /** Answers one SELECT; who asks is for the log. @throws Refusal */
  query: (sql: string, maxRows: number, subject?: string) => Promise<Answer>;
  close: () => Promise<void>;
};

const BUSY = "other ad-hoc queries are running: try again in a moment";
const LOGGED = 1_000; // characters of a query

/** Opens the connections; `databaseUrl` is that of the API, `url` one for the ad-hoc login where it needs a password. */
export function adhocQueries(databaseUrl: string, url?: string): AdhocQueries {
  const pool = adhocPool(url ?? adhocUrl(databaseUrl));
  // Said once, at the start; the server goes on without.
  execute(pool, "select", 1).catch((error) => {
    if (pool.ended) return;
    const { message } = translate(error);
    log.warn("ad-hoc queries do not work", { reason: message });
  });

  return {
    async query(sql, maxRows, subject) {
      const began = performance.now();
      const said = { ...(subject && { subject }), sql: sql.slice(0, LOGGED), maxRows };
      try {
        check(sql);
        const answer = await execute(pool, sql, maxRows);
        log.info("ad-hoc query", { ...said, rows: answer.rows.length, ms: Math.round(performance.now() - began) });
        return answer;
      } catch (error) {
        const refusal = translate(error as Error);
        log.info("ad-hoc query refused", { ...said, reason: refusal.message });
        throw refusal;
      }
    },
    close: () => pool.end(),
  };
}

/** An error of Postgres in the words of the API. The login sees only what who asks may see, so its messages are for them. */
function translate(error: Error & { code?: string; hint?: string }): Refusal {
  if (error instanceof Refusal) return error;
  const { code = "", hint } = error;
  if (/timeout exceeded when trying to connect/.test(error.message) || code === "53300")
    return new Refusal(BUSY, "BUSY");
  // 28: not authorized. SASL: the server wants a password, and there is none.
  if (code.startsWith("28") || /^SASL|password/.test(error.message))
    return new Refusal(
      `ad-hoc queries are off: ${reason(error)}; give the role a password (alter role ${LOGIN} password '...') and set ADHOC_DATABASE_URL`,
      "UNAVAILABLE",
    );
  if (code === "57014")
    return new Refusal("the query took longer than 5 s: ask for a shorter time range or fewer rows", "TIMEOUT");
  if (code === "42501") return new Refusal(error.message, "FORBIDDEN");
  if (code === "25006") return new Refusal("only reading is allowed", "READ_ONLY");
  if (/^(0A|21|22|42|34|54|53[24]|P0001|SL)/.test(code))
    return new Refusal(hint ? `${error.message}. ${hint}` : error.message);
  if (isUnreachable(error))
    return new Refusal("the database cannot be reached at the moment: try again, see /readyz", "UNAVAILABLE");
  log.error("an ad-hoc query failed", { error });
  return new Refusal("something went wrong: the log of the server says what", "INTERNAL");
}
