// Changes of alerts, as they are committed. One connection of the process listens for the ids of new rows of alert_history; each
// subscriber gets those that its filter lets through. When the connection breaks, subscriptions stay open: once it is back, they
// get what was committed meanwhile.

import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { SafeError } from "postgraphile/grafast";
import { pgSettings } from "../graphql/session.ts";
import { log } from "../log.ts";
import { within } from "../server/within.ts";
import { type Stream, stream } from "./stream.ts";

/** What is not given lets everything through. */
export type ChangeFilter = { service?: string | null; severity?: string | null; ruleId?: string | null };
/** A row of alert_history. */
export type Change = { id: string; rule_id: string; service: string; severity: string | null };
export type Changes = {
  /** Those from now on. */
  subscribe: (filter: ChangeFilter) => Stream<Change>;
  /** How many subscribers there are. */
  subscribers: () => number;
  stop: () => Promise<void>;
};

const CHANNEL = "alert_changes"; // internal.notify_alert_changes
const CONNECT_MS = 5_000;
const RETRY_MS = 500;
const BEAT_MS = 5_000; // a connection that a firewall forgot says nothing by itself
const ANSWER_MS = 5_000;
export const QUEUE = 10_000; // changes that wait for one reader; readers share the objects
/** The newest rows that are looked through for missed ones; ids may commit out of order, so it is not enough to ask for higher ones. */
const WINDOW = 5_000;

/** Listens from now on, and again whenever the connection breaks, until it is stopped. */
export function changes(databaseUrl: string): Changes {
  const subscribers = new Map<Stream<Change>, ChangeFilter>();
  const stopping = new AbortController();
  let seen: Set<string> | undefined; // the newest ids; undefined: never connected
  let isDown = false;
  const running = keepListening();

  async function keepListening() {
    while (!stopping.signal.aborted) {
      await listen().catch((error) => {
        if (!isDown && !stopping.signal.aborted) log.warn("changes of alerts wait for the database", { error });
        isDown = true;
      });
      await sleep(RETRY_MS, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }

  /** Until the connection breaks, which is an error, or we stop. */
  async function listen(): Promise<void> {
    const client = new pg.Client({
      connectionString: databaseUrl,
      application_name: "stacklens server live",
      connectionTimeoutMillis: CONNECT_MS,
      keepAlive: true,
    });
    const broken = new AbortController();
    client.on("error", (error) => broken.abort(error));
    client.on("end", () => broken.abort(new Error("the connection was closed")));
    const over = AbortSignal.any([broken.signal, stopping.signal]);
    try {
      await client.connect();
      for (const setting of Object.entries(pgSettings(undefined, "subscription")))
        await client.query("select set_config($1, $2, false)", setting);

      seen ??= new Set(await newest(client)); // before we listen: what comes after it is for the subscribers
      // One delivery after the other, so that they keep their order. What is heard of meanwhile goes together with the next one.
      const heard: string[] = [];
      let queue = Promise.resolve();
      const deliverLater = (ids: string[]) => {
        heard.push(...ids);
        queue = queue
          .then(() => nextTurn())
          .then(() => deliver(client, heard.splice(0)))
          .catch((error) => broken.abort(error));
      };
      client.on("notification", ({ payload }) => deliverLater(payload?.split(",") ?? []));
      await client.query(`listen ${CHANNEL}`);
      const ids = await newest(client);
      if (ids.length === WINDOW && !ids.some((id) => seen!.has(id))) endAll(missed());
      deliverLater(ids);
      if (isDown) log.info("changes of alerts are delivered again");
      isDown = false;

      while (!over.aborted) {
        await sleep(BEAT_MS, undefined, { signal: over }).catch(() => {});
        if (!over.aborted) await within(ANSWER_MS, client.query("select 1"));
      }
      if (broken.signal.aborted) throw broken.signal.reason;
    } finally {
      client.removeAllListeners("notification");
      const ended = client.end();
      ended.catch(() => {});
      if (stopping.signal.aborted) await within(RETRY_MS, ended).catch(() => {});
    }
  }

  async function newest(client: pg.Client): Promise<string[]> {
    const { rows } = await client.query<{ id: string }>(
      "select id from analytics.alert_history order by id desc limit $1",
      [WINDOW],
    );
    return rows.map(({ id }) => id).reverse();
  }

  async function deliver(client: pg.Client, ids: string[]): Promise<void> {
    const fresh = ids.filter((id) => !seen!.has(id));
    if (fresh.length === 0) return;
    if (subscribers.size > 0) {
      // A pending alert that never fired is gone: its severity was that of the rule.
      const { rows } = await client.query<Change>(
        `select history.id, history.rule_id, history.service, coalesce(alerts.severity, alert_rules.severity) as severity
        from analytics.alert_history as history
        left join analytics.alerts on alerts.id = history.alert_id
        left join analytics.alert_rules on alert_rules.id = history.rule_id
        where history.id = any ($1)
        order by history.id`,
        [fresh],
      );
      for (const [subscriber, filter] of subscribers) subscriber.push(rows.filter((change) => passes(filter, change)));
    }
    for (const id of fresh) seen!.add(id);
    for (const id of seen!) {
      if (seen!.size <= 2 * WINDOW) break;
      seen!.delete(id); // the oldest: a set keeps the order in which it got its values
    }
  }

  function endAll(error: Error) {
    for (const subscriber of subscribers.keys()) subscriber.end(error);
  }

  return {
    subscribe(filter) {
      const subscriber = stream<Change>({
        limit: QUEUE,
        full: (it, waiting) => {
          waiting.length = 0;
          it.end(missed());
        },
        ended: (it) => subscribers.delete(it),
      });
      subscribers.set(subscriber, filter);
      return subscriber;
    },
    subscribers: () => subscribers.size,
    async stop() {
      stopping.abort();
      for (const subscriber of subscribers.keys()) subscriber.end();
      await running;
    },
  };
}

function passes(filter: ChangeFilter, change: Change): boolean {
  return (
    (filter.service == null || filter.service === change.service) &&
    (filter.severity == null || filter.severity === change.severity) &&
    (filter.ruleId == null || filter.ruleId === change.rule_id)
  );
}

function missed(): SafeError {
  return new SafeError("Too many alerts changed for this subscription: read the alerts, then subscribe again", {
    code: "MISSED_CHANGES",
  });
}
