// The HTTP server: GraphQL at /graphql, its IDE at /, /healthz, /readyz, /metrics. It listens at once, answers 503 until the
// database is there and migrated, and goes on by itself when the database was away.

import "./graphql/environment.ts";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafast } from "postgraphile/grafast";
import { grafserv } from "postgraphile/grafserv/node";
import preset from "../graphile.config.ts";
import { adhocQueries } from "./adhoc/queries.ts";
import type { Config } from "./config.ts";
import { connect } from "./db.ts";
import { masking } from "./graphql/errors.ts";
import { NoIntrospectionPlugin } from "./graphql/introspection.ts";
import { INTROSPECTION_SETTINGS } from "./graphql/session.ts";
import { isEventStream } from "./live/event-stream.ts";
import { type Live, live } from "./live/live.ts";
import { refuse } from "./live/websocket.ts";
import { log, reason } from "./log.ts";
import { run } from "./process.ts";
import { noSelfEvents, selfEvents } from "./self-events.ts";
import { type Checks, checks } from "./server/checks.ts";
import { cors } from "./server/cors.ts";
import { gate } from "./server/graphql.ts";
import { healthz, readyz } from "./server/health.ts";
import { hostCheck, isLoopback } from "./server/hosts.ts";
import { close, listen } from "./server/listen.ts";
import { metrics } from "./server/metrics.ts";
import { graphqlPool } from "./server/pool.ts";
import { observe } from "./server/requests.ts";
import { json, text } from "./server/respond.ts";
import { pipelined } from "./server/transactions.ts";
import { within } from "./server/within.ts";

const CHECK_POOL = 2; // connections beside those of GraphQL, so that checks answer while queries wait
const RETRY_MS = 500;
const STOP_LIMIT_MS = 900; // after the second that open requests have: 2 s in all

/** Starts the server; it is there when GraphQL answers. The answer is the function that stops it. */
export async function startServer(config: Config): Promise<() => Promise<void>> {
  const sql = connect(config.databaseUrl, "stacklens server checks", CHECK_POOL);
  let hasSchema = false;
  const ready = checks(config, sql, () => hasSchema);
  const self = config.selfEvents ? selfEvents(config) : noSelfEvents();
  // grafserv adds itself to a server. This one listens nowhere: requests are handed to it after the routes below.
  const graphql = createServer();
  const { identified, admitted } = gate(config);
  const foreignHost = hostCheck(config);
  let subscriptions: Live | undefined;
  let doors: ReturnType<Live["doors"]> | undefined;
  let stopping = false;
  const handOver = (request: IncomingMessage, response: ServerResponse) => {
    if (!graphql.emit("request", request, response)) notReady(response);
  };

  const server = await listen(config.host, config.port, (request, response) => {
    observe(request, response, self.record);
    const foreign = foreignHost(request);
    if (foreign !== undefined) return text(response, 403, `${foreign}\n`);
    if (cors(config.corsOrigins, request, response)) return;
    const [path, query] = (request.url ?? "/").split("?", 2);
    const reads = request.method === "GET" || request.method === "HEAD";
    if (reads && path === "/healthz") return healthz(response);
    if (reads && path === "/readyz")
      return readyz(response, new URLSearchParams(query), ready.checks, { stopping, production: config.production });
    if (reads && path === "/metrics") return metrics(response, sql, self, subscriptions?.figures());
    if (path === "/graphql" && isEventStream(request))
      return identified(request, response, () => (doors ? doors.stream(request, response) : notReady(response)));
    if (path === "/graphql") return admitted(request, response, () => handOver(request, response));
    handOver(request, response);
  });
  server.on("upgrade", (request, socket, head) => {
    const foreign = foreignHost(request);
    if (foreign !== undefined) return refuse(socket, "403 Forbidden", foreign);
    if (request.url?.split("?", 1)[0] !== "/graphql")
      return refuse(socket, "404 Not Found", "WebSockets are at /graphql");
    if (!doors || stopping) return refuse(socket, "503 Service Unavailable", "not ready: see /readyz");
    doors.upgrade(request, socket, head);
  });
  log.info("server listens", { url: `http://${config.host}:${config.port}` });

  if (!config.jwtSecret && !config.jwksUrl && !isLoopback(config.host))
    log.warn("everybody who reaches the server is a viewer, and nobody is an operator: set JWT_SECRET or JWKS_URL", {
      host: config.host,
    });

  await databaseReady(ready.checks);
  const pool = graphqlPool(config.databaseUrl);
  subscriptions = live(config, pool);
  const adhoc = adhocQueries(config.databaseUrl, config.adhocDatabaseUrl);
  const instance = postgraphile({
    extends: [preset],
    plugins: config.introspection ? [] : [NoIntrospectionPlugin],
    pgServices: [
      pipelined(
        makePgService({
          pool,
          schemas: ["analytics"],
          pubsub: false,
          pgSettingsForIntrospection: INTROSPECTION_SETTINGS,
        }),
        pool,
      ),
    ],
    grafserv: { graphiql: config.ide, maskError: masking(config) },
    schema: { retryOnInitFail: retry, adhocQueries: adhoc },
  });
  await warmUp(instance);
  const serv = instance.createServ(grafserv);
  await serv.addTo(graphql);
  doors = subscriptions.doors(serv);
  hasSchema = true;

  return async () => {
    stopping = true;
    await doors?.close();
    await close(server);
    await instance.release();
    // Whatever still runs, a query of 10 s for instance, is not waited for.
    await within(
      STOP_LIMIT_MS,
      Promise.all([
        self.stop(),
        subscriptions?.stop(),
        pool.end(),
        adhoc.close(),
        ready.release(),
        sql.end({ timeout: 1 }),
      ]),
    ).catch((error) => log.warn("server stops without waiting any longer", { error }));
  };
}

function notReady(response: ServerResponse): void {
  json(response, 503, { errors: [{ message: "The database is not ready: see /readyz" }] });
}

/** Waits for a database that can be served, and says once what it lacks. */
async function databaseReady({ database, migrations }: Checks): Promise<void> {
  let said = "";
  for (;;) {
    const connection = await database();
    const check = connection.ok ? await migrations() : connection;
    if (check.ok) return;
    if (said !== check.detail) log.warn("server waits for the database", { reason: check.detail });
    said = check.detail ?? "";
    await sleep(RETRY_MS);
  }
}

/**
 * Plans and runs a query once, so that the first one of a client takes milliseconds: on a cold process it takes more than a
 * second, which would be an alert of its own.
 */
async function warmUp(instance: ReturnType<typeof postgraphile>): Promise<void> {
  const result = await grafast({
    schema: await instance.getSchema(),
    resolvedPreset: instance.getResolvedPreset(),
    source: "{ serviceSummary { nodes { service } } activeAlerts { nodes { id } } stats { eventsStored } }",
    requestContext: {},
  });
  if ("errors" in result && result.errors) log.warn("the first query failed", { reason: reason(result.errors[0]) });
}

async function retry(error: Error): Promise<boolean> {
  log.warn("the GraphQL schema cannot be made, trying again", { reason: reason(error) });
  await sleep(RETRY_MS);
  return true;
}

if (import.meta.main) await run("server", startServer);
