// What GraphQL costs: each query of a dashboard as a request over HTTP beside the SQL that a person would write for it, through pg
// under the same role. 24 hours of events, and as in production they go on while it runs and a worker rolls them up.

import { Agent, request } from "node:http";
import pg from "pg";
import { freePort } from "../local/ports.ts";
import { startDay } from "./day.ts";
import { PANELS, type Panel, valuesOf } from "./panels.ts";
import { answers, type Figures, percentile, type Stack, startStack } from "./stack.ts";

const EVENTS = 1_000_000; // in the 24 hours before
const CLIENTS = [1, 16];
const ROUNDS = 10; // GraphQL and SQL take turns, so that noise meets both

/** Asks for a panel as one of the clients; the answer is the number of rows. */
type Ask = (panel: Panel, client: number) => Promise<number>;
type Sides = { graphql: Ask; sql: Ask };

/** Sends so many requests of each panel, on each side, by 1 client and by 16; milliseconds, requests a second and their ratios. */
export async function benchGraphql(requests: number): Promise<Figures> {
  const port = await freePort();
  const most = Math.max(...CLIENTS);
  const more = { PORT: String(port), SELF_EVENTS: "off", REQUESTS_PER_CLIENT: String(most) };
  const stack = await startStack("graphql", more);
  const agent = new Agent({ keepAlive: true });
  let endDay = async () => {};
  let connections: pg.Client[] = [];
  try {
    endDay = await startDay(stack, EVENTS);
    await fireAlerts(stack);
    stack.start("tasks/main.ts");
    stack.start("server.ts");
    await answers(`http://127.0.0.1:${port}/readyz?only=graphql`);
    connections = await Promise.all(Array.from({ length: most }, () => viewer(stack.url)));
    const sides: Sides = {
      graphql: (panel) => askGraphql(agent, port, panel),
      sql: (panel, client) => askSql(connections[client]!, panel),
    };
    const figures: Figures = { servers: stack.where, requests };
    for (const panel of PANELS) {
      const [rows, expected] = await Promise.all([sides.graphql(panel, 0), sides.sql(panel, 0)]);
      if (rows !== expected || rows === 0)
        throw new Error(`${panel.name}: ${rows} rows by GraphQL, ${expected} by SQL`);
      for (const clients of CLIENTS) Object.assign(figures, await compare(panel, clients, requests, sides));
    }
    return figures;
  } finally {
    await endDay();
    agent.destroy();
    for (const connection of connections) await connection.end();
    await stack.stop();
  }
}

async function compare(panel: Panel, clients: number, requests: number, sides: Sides): Promise<Figures> {
  const measured = { graphql: { took: [] as number[], seconds: 0 }, sql: { took: [] as number[], seconds: 0 } };
  for (let round = 0; round <= ROUNDS; round++)
    for (const name of ["graphql", "sql"] as const) {
      const began = performance.now();
      const took = await run(panel, clients, requests / ROUNDS, sides[name]);
      if (round === 0) continue; // warms up
      measured[name].took.push(...took);
      measured[name].seconds += (performance.now() - began) / 1000;
    }
  const { graphql, sql } = measured;
  const latency = (fraction: number) => {
    const [ours, theirs] = [percentile(graphql.took, fraction), percentile(sql.took, fraction)];
    return `${ours.toFixed(1)} : ${theirs.toFixed(1)} (${(ours / theirs).toFixed(2)})`;
  };
  const rate = ({ took, seconds }: typeof sql) => (took.length / seconds).toFixed(0);
  const title = `${panel.name}, ${clients} client${clients > 1 ? "s" : ""}`;
  return {
    [`${title}: p50, ms`]: latency(0.5),
    [`${title}: p99, ms`]: latency(0.99),
    [`${title}: requests/s`]: `${rate(graphql)} : ${rate(sql)}`,
  };
}

/** Each client sends its part of the requests one after the other; the answer is how long each took. */
async function run(panel: Panel, clients: number, requests: number, ask: Ask): Promise<number[]> {
  const took: number[] = [];
  let left = requests;
  const client = async (n: number) => {
    while (left-- > 0) {
      const began = performance.now();
      await ask(panel, n);
      took.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, n) => client(n)));
  return took;
}

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

/** An alert for each service. */
async function fireAlerts({ sql }: Stack): Promise<void> {
  await sql`
    insert into analytics.alert_rules (id, name, metric, operator, threshold, lookback, severity)
    values ('busy', 'Has requests', 'total_requests', '>', 0, '1 hour', 'info')`;
  await sql`select analytics.evaluate_alert_rules(as_of => now())`;
}
