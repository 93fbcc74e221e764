// What GraphQL costs: each query of a dashboard as a request over HTTP beside the SQL that a person would write for it, through pg
// under the same role. 24 hours of events, and as in production they go on while it runs and a worker rolls them up.

import { Agent, request } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { freePort } from "../local/ports.ts";
import { makeEvents } from "./events.ts";
import { percentile, type Stack, startStack } from "./stack.ts";

const EVENTS = 1_000_000; // in the 24 hours before
const FEED_S = 900; // and as many a second after, for at most so long
const CLIENTS = [1, 16];
const ROUNDS = 10; // GraphQL and SQL take turns, so that noise meets both
const SERVICE = "service-03";

type Panel = {
  name: string;
  query: string;
  /** Statements that together answer the same. */
  sql: string[];
  values?: "service" | "range" | "hour";
};

const METRICS = [
  "bucket total_requests successful_requests failed_requests error_rate latency_min latency_p50 latency_p95 latency_p99",
  "latency_max latency_mean unique_users unique_ips avg_risk_score high_risk_count",
]
  .join(" ")
  .split(" ");

/** What the page of a service draws. */
const PANELS: Panel[] = [
  {
    name: "24 h of 5-minute metrics",
    query: `query Metrics($service: String!, $since: Datetime!, $until: Datetime!) {
      metrics5min(condition: { service: $service, since: $since, until: $until }, orderBy: [BUCKET_ASC], first: 288) {
        nodes { ${METRICS.map(camelCase).join(" ")} }
      }
    }`,
    sql: [
      `select ${METRICS.join(", ")} from analytics.metrics_5min
      where service = $1 and bucket >= $2 and bucket < $3 order by bucket limit 288`,
    ],
    values: "range",
  },
  {
    name: "health of all services",
    query: `query Health {
      serviceHealth { nodes { service health totalRequests failedRequests errorRate latencyP50 latencyP95 latencyP99 lastSeen } }
    }`,
    sql: [
      `select service, health, total_requests, failed_requests, error_rate, latency_p50, latency_p95, latency_p99, last_seen
      from analytics.service_health order by service limit 100`,
    ],
  },
  {
    name: "endpoints of a service",
    query: `query Endpoints($service: String!, $since: Datetime!, $until: Datetime!) {
      endpointMetrics5min(condition: { service: $service, since: $since, until: $until }, orderBy: [LATENCY_P95_DESC], first: 50) {
        nodes { bucket endpoint totalRequests errorRate latencyP50 latencyP95 latencyP99 }
      }
    }`,
    sql: [
      `select bucket, endpoint, total_requests, error_rate, latency_p50, latency_p95, latency_p99
      from analytics.endpoint_metrics_5min where service = $1 and bucket >= $2 and bucket < $3
      order by latency_p95 desc nulls last limit 50`,
    ],
    values: "hour",
  },
  {
    name: "alerts with history",
    query: `query Alerts {
      alerts(condition: { status: ACTIVE }, first: 20) {
        nodes {
          id ruleName service severity value triggeredAt
          history(first: 10) { nodes { asOf previousStatus status reason value } }
        }
      }
    }`,
    sql: [
      `select id, rule_name, service, severity, value, triggered_at, (
        select json_agg(history) from (
          select as_of, previous_status, status, reason, value from analytics.alert_history
          where alert_id = alerts.id order by as_of desc limit 10
        ) as history
      ) as history
      from analytics.alerts where status = 'active' order by triggered_at desc, id limit 20`,
    ],
  },
  {
    name: "errors, slowest and SLA",
    query: `query Ranks($service: String!) {
      topErrorServices(first: 5) { nodes { rank service failedRequests errorRate } }
      slowestServices(first: 5) { nodes { rank service latencyP95 } }
      sla(service: $service, period: { hours: 24 }) { nodes { service availability met errorBudgetRemaining } }
    }`,
    sql: [
      "select rank, service, failed_requests, error_rate from analytics.top_error_services order by rank, service limit 5",
      "select rank, service, latency_p95 from analytics.slowest_services order by rank, service limit 5",
      "select service, availability, met, error_budget_remaining from analytics.sla($1, interval '24 hours')",
    ],
    values: "service",
  },
];

type Side = { send: (panel: Panel, client: number) => Promise<number>; took: number[]; seconds: number };

/** Sends so many requests of each panel, on each side, by 1 client and by 16; milliseconds, requests a second and their ratios. */
export async function benchGraphql(requests: number): Promise<Record<string, string | number>> {
  const port = await freePort();
  const most = Math.max(...CLIENTS);
  const stack = await startStack("graphql", {
    PORT: String(port),
    SELF_EVENTS: "off",
    REQUESTS_PER_CLIENT: String(most),
  });
  const agent = new Agent({ keepAlive: true });
  const connections: pg.Client[] = [];
  let feeding = true;
  let fed: Promise<void> | undefined;
  try {
    const day = 86_400;
    const events = makeEvents((EVENTS / day) * (day + FEED_S), Date.now() + FEED_S * 1000, day + FEED_S);
    await store(stack, events);
    await rollUp(stack);
    await fireAlerts(stack);
    await stack.sql`analyze`;
    fed = (async () => {
      for (; feeding; await sleep(1_000)) await store(stack, events);
    })();
    stack.start("tasks/main.ts");
    stack.start("server.ts");
    for (let answered = false; !answered; await sleep(100))
      answered = await fetch(`http://127.0.0.1:${port}/readyz?only=graphql`).then(
        (it) => it.ok,
        () => false,
      );
    for (let n = 0; n < most; n++) connections.push(await viewer(stack.url));

    const figures: Record<string, string | number> = { servers: stack.where, requests };
    const rows = async (panel: Panel) => Promise.all([askGraphql(agent, port, panel), askSql(connections[0]!, panel)]);
    for (const panel of PANELS) {
      const [graphql, sql] = await rows(panel);
      if (graphql !== sql || sql === 0) throw new Error(`${panel.name}: ${graphql} rows by GraphQL, ${sql} by SQL`);
      for (const clients of CLIENTS) {
        const sides = {
          graphql: side((it) => askGraphql(agent, port, it)),
          sql: side((it, n) => askSql(connections[n]!, it)),
        };
        for (const { send } of Object.values(sides)) await run(panel, clients, requests / ROUNDS, send); // warm
        for (let round = 0; round < ROUNDS; round++)
          for (const it of Object.values(sides)) {
            const began = performance.now();
            it.took.push(...(await run(panel, clients, requests / ROUNDS, it.send)));
            it.seconds += (performance.now() - began) / 1000;
          }
        Object.assign(figures, summary(`${panel.name}, ${clients} client${clients > 1 ? "s" : ""}`, sides));
      }
    }
    return figures;
  } finally {
    feeding = false;
    await fed;
    agent.destroy();
    for (const connection of connections) await connection.end();
    await stack.stop();
  }
}

function side(send: Side["send"]): Side {
  return { send, took: [], seconds: 0 };
}

/** Each client sends its part of the requests one after the other; the answer is how long each took. */
async function run(panel: Panel, clients: number, requests: number, send: Side["send"]): Promise<number[]> {
  const took: number[] = [];
  let left = requests;
  const client = async (n: number) => {
    while (left-- > 0) {
      const began = performance.now();
      await send(panel, n);
      took.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, n) => client(n)));
  return took;
}

function summary(name: string, { graphql, sql }: { graphql: Side; sql: Side }): Record<string, string> {
  const [p50, p99] = [0.5, 0.99].map((fraction) => [
    percentile(graphql.took, fraction),
    percentile(sql.took, fraction),
  ]);
  const compare = ([ours, theirs]: number[]) =>
    `${ours!.toFixed(1)} : ${theirs!.toFixed(1)} (${(ours! / theirs!).toFixed(2)})`;
  const rate = (it: Side) => it.took.length / it.seconds;
  return {
    [`${name}: p50, ms`]: compare(p50!),
    [`${name}: p99, ms`]: compare(p99!),
    [`${name}: requests/s`]: `${rate(graphql).toFixed(0)} : ${rate(sql).toFixed(0)}`,
  };
}

/** Whole buckets, the open one included. */
function valuesOf({ values }: Panel): Record<string, string> {
  const until = Math.ceil(Date.now() / 300_000) * 300_000;
  const range = (hours: number) => ({
    service: SERVICE,
    since: new Date(until - hours * 3_600_000).toISOString(),
    until: new Date(until).toISOString(),
  });
  if (values === "range") return range(24);
  if (values === "hour") return range(1);
  return values === "service" ? { service: SERVICE } : {};
}

/** Sends the query; the answer is the number of rows. */
function askGraphql(agent: Agent, port: number, panel: Panel): Promise<number> {
  const body = JSON.stringify({ query: panel.query, variables: valuesOf(panel) });
  return new Promise((resolve, reject) => {
    const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
    const sent = request(
      { agent, port, host: "127.0.0.1", path: "/graphql", method: "POST", headers },
      async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk);
        const { data, errors } = JSON.parse(Buffer.concat(chunks).toString());
        if (errors) return reject(new Error(errors[0].message));
        resolve(Object.values<{ nodes: unknown[] }>(data).reduce((sum, { nodes }) => sum + nodes.length, 0));
      },
    );
    sent.on("error", reject).end(body);
  });
}

/** Runs the statements; the answer is the number of rows. */
async function askSql(connection: pg.Client, panel: Panel): Promise<number> {
  const values = Object.values(valuesOf(panel));
  let count = 0;
  for (const text of panel.sql) count += (await connection.query(text, /\$1/.test(text) ? values : [])).rows.length;
  return count;
}

/** A connection with the rights and the bound that a request without a token has. */
async function viewer(url: string): Promise<pg.Client> {
  const connection = new pg.Client(url);
  await connection.connect();
  await connection.query("set role stacklens_viewer; set timezone = 'UTC'; set statement_timeout = '10s'");
  return connection;
}

const COLUMNS = [
  ...["service", "endpoint", "level", "status_code", "latency_ms", "request_id", "user_id", "source_ip", "geo_country"],
  "business_risk_score",
];

/** Stores the next of the events, up to now. They are the plain ones of makeEvents: nothing needs to be escaped. */
async function store({ sql }: Stack, events: Generator<string>): Promise<void> {
  const copy = await sql`copy analytics.events (time, ${sql(COLUMNS)}) from stdin`.writable();
  await pipeline(Readable.from(lines(events, Date.now())), copy);
}

function* lines(events: Generator<string>, until: number): Generator<string> {
  let lines = "";
  for (let next = events.next(); !next.done; next = events.next()) {
    const event = JSON.parse(next.value);
    lines += `${[new Date(event.timestamp).toISOString(), ...COLUMNS.map((name) => event[name])].join("\t")}\n`;
    if (event.timestamp >= until) break;
    if (lines.length < 1_000_000) continue;
    yield lines;
    lines = "";
  }
  yield lines;
}

/** As the ingester and the worker leave it: services are known, everything is rolled up and compressed. */
async function rollUp({ sql }: Stack): Promise<void> {
  await sql`
    insert into analytics.services (service, first_seen, last_seen)
    select service, min(time), max(time) from analytics.events group by service`;
  await sql`
    insert into internal.late_minutes (minute)
    select generate_series(date_trunc('minute', min(time)), max(time), interval '1 minute') from analytics.events`;
  await sql`call internal.refresh_rollups()`;
  await sql`select analytics.archive()`;
}

/** An alert for each service, with a history that a person wrote on. */
async function fireAlerts({ sql }: Stack): Promise<void> {
  await sql`
    insert into analytics.alert_rules (id, name, metric, operator, threshold, lookback, severity)
    values ('busy', 'Has requests', 'total_requests', '>', 0, '1 hour', 'info')`;
  await sql`select analytics.evaluate_alert_rules(as_of => now())`;
}

function camelCase(column: string): string {
  return column.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
}
