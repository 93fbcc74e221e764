// The whole API as each role: every field of the schema is asked for by a viewer and by an operator.

import {
  buildClientSchema,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLSchema,
  getIntrospectionQuery,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isObjectType,
} from "graphql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { ago, insertEvents } from "../sql/events.ts";
import { type Answer, type Api, startApi } from "./api.ts";

/** What a viewer must not see, wherever it may show. The database is full of it. */
const SECRETS = {
  user: "secret-user-4711",
  address: "203.0.113.77",
  error: "secret-error-text",
  attribute: "secret-attribute",
  payload: "secret-payload",
  detail: "secret-detail",
  metric: "secret-metric-text",
};

/** Lists that are for operators as a whole, and columns that are, wherever they appear. */
const OPERATOR_LISTS = /^(events|rejectedEvents|adhocQuery)\./;
const OPERATOR_COLUMNS = /\.(userId|sourceIp|attributes|payload|errorMessage|lastError)$/;

/** Values for arguments that must be given. */
const ARGUMENTS: Record<string, string> = {
  previewAlertRule: `metric: "error_rate", operator: GREATER_THAN, threshold: 5, lookback: { minutes: 1 }`,
  adhocQuery: 'sql: "table services"',
  metrics: "resolution: ONE_MINUTE",
  alert: 'id: "1"',
  alertRule: 'id: "high_error_rate"',
  service: 'service: "web"',
};

/** A value of each type that is not text, for conditions. */
const LITERALS: Record<string, string> = {
  Boolean: "true",
  Int: "1",
  Float: "1",
  BigInt: '"1"',
  Datetime: '"2020-01-01T00:00:00Z"',
  InternetAddress: `"${SECRETS.address}"`,
};

let db: TestDatabase;
let api: Api;
let schema: GraphQLSchema;

beforeAll(async () => {
  db = await testDatabase();
  const now = new Date();
  await insertEvents(
    db.sql,
    Array.from({ length: 60 }, (_, index) => ({
      time: ago(now, index / 2),
      endpoint: "/pay",
      level: "error" as const,
      latency_ms: 700,
      user_id: SECRETS.user,
      source_ip: SECRETS.address,
      business_risk_score: 0.9,
    })),
  );
  await db.sql`
    update analytics.events set error_message = ${SECRETS.error}, attributes = ${db.sql.json({ note: SECRETS.attribute })}`;
  await db.sql`
    insert into analytics.rejected_events (topic, partition, "offset", reason, detail, payload)
    values ('t', 0, 0, 'invalid_json', ${SECRETS.detail}, ${SECRETS.payload})`;
  await db.sql`call internal.refresh_rollups()`;
  await db.sql`select analytics.evaluate_alert_rules(as_of => now())`;
  await db.sql`update analytics.alert_rules set last_error = ${SECRETS.metric}, failing_since = now() where id = 'error_spike'`;
  await db.sql`insert into analytics.silences (ends_at, reason) values (now() + interval '1 hour', 'deploy')`;
  api = await startApi(db.url, { requestsPerClient: 100 });
  const { data } = await api.query(getIntrospectionQuery({ descriptions: false }));
  schema = buildClientSchema(data);
});
afterAll(async () => {
  await api.stop();
  await db.drop();
});

type Asked = { path: string; query: string };

/** Every leaf that can be reached from a field, as its path and the query that asks for nothing else. */
function* leaves(type: GraphQLObjectType, depth: number): Generator<{ path: string[]; selection: string }> {
  for (const field of Object.values(type.getFields())) {
    const inner = getNamedType(field.type);
    const call = `${field.name}${argumentsOf(field)}`;
    if (isLeafType(inner)) yield { path: [field.name], selection: call };
    else if (isObjectType(inner) && depth > 0)
      for (const { path, selection } of leaves(inner, depth - 1))
        yield { path: [field.name, ...path], selection: `${call} { ${selection} }` };
  }
}

function argumentsOf(field: GraphQLField<unknown, unknown>): string {
  const given = ARGUMENTS[field.name];
  return given && field.args.some(({ name }) => given.startsWith(`${name}:`)) ? `(${given})` : "";
}

/** The queries of the whole schema. */
function everything(): Asked[] {
  return [...leaves(schema.getQueryType()!, 4)]
    .filter(({ path }) => !path.includes("pageInfo"))
    .map(({ path, selection }) => ({
      path: path.filter((name) => name !== "nodes").join("."),
      query: `{ ${selection} }`,
    }));
}

/** Those that are answered FORBIDDEN; everything that came back, as text. Any other error fails the test. */
async function ask(asked: Asked[], as: (query: string) => Promise<Answer>) {
  const forbidden: string[] = [];
  let text = "";
  await inTurns(asked, async ({ path, query }) => {
    const answer = await as(query);
    text += JSON.stringify(answer);
    if (answer.errors?.every(({ extensions }) => extensions?.code === "FORBIDDEN")) forbidden.push(path);
    else expect(answer.errors, query).toBeUndefined();
  });
  return { forbidden: forbidden.sort(), text };
}

async function inTurns<T>(list: T[], run: (item: T) => Promise<void>, atATime = 8): Promise<void> {
  const rest = list.values();
  await Promise.all(
    Array.from({ length: atATime }, async () => {
      for (const item of rest) await run(item);
    }),
  );
}

describe("a viewer", () => {
  test("sees every field but those that are for operators", async () => {
    const asked = everything();
    expect(asked.length).toBeGreaterThan(250);
    const { forbidden, text } = await ask(asked, api.asViewer);
    const expected = asked.map(({ path }) => path).filter((p) => OPERATOR_LISTS.test(p) || OPERATOR_COLUMNS.test(p));
    expect(forbidden).toEqual(expected.sort());
    for (const secret of Object.values(SECRETS)) expect(text).not.toContain(secret);
  });

  test("cannot find out about them by conditions and order either", async () => {
    const asked: Asked[] = [];
    for (const field of Object.values(schema.getQueryType()!.getFields()))
      for (const { name, type } of field.args) {
        const input = getNamedType(type);
        const call = (argument: string) =>
          `{ ${field.name}(${[ARGUMENTS[field.name], argument].filter(Boolean).join(", ")}) { totalCount nodes { __typename } } }`;
        if (name === "condition" && isInputObjectType(input))
          for (const column of Object.values(input.getFields())) {
            const columnType = getNamedType(column.type);
            const value = isEnumType(columnType)
              ? columnType.getValues()[0]!.name
              : (LITERALS[columnType.name] ?? `"${SECRETS.user}"`);
            asked.push({
              path: `${field.name}.${column.name}`,
              query: call(`condition: { ${column.name}: ${value} }`),
            });
          }
        if (name === "orderBy" && isEnumType(input))
          for (const value of input.getValues())
            asked.push({
              path: `${field.name}.${camelCase(value.name.replace(/_(ASC|DESC)$/, ""))}`,
              query: call(`orderBy: ${value.name}`),
            });
      }
    expect(asked.map(({ path }) => path)).toEqual(expect.arrayContaining(["events.userId", "alerts.severity"]));
    const { forbidden } = await ask(asked, api.asViewer);
    const expected = asked.map(({ path }) => path).filter((p) => OPERATOR_LISTS.test(p) || OPERATOR_COLUMNS.test(p));
    expect(forbidden).toEqual(expected.sort());
  });

  test("is told what it may not do, and not what is there", async () => {
    const { errors } = await api.asViewer("{ highRiskEvents { nodes { userId } } }");
    expect(errors).toMatchObject([
      { message: expect.stringContaining("send a token with the role operator"), extensions: { code: "FORBIDDEN" } },
    ]);
  });
});

describe("an operator", () => {
  test("sees every field", async () => {
    const { forbidden, text } = await ask(everything(), api.query);
    expect(forbidden).toEqual([]);
    for (const secret of Object.values(SECRETS)) expect(text).toContain(secret);
  });
});

/** Each mutation with an input that works, in an order in which they work. */
const MUTATIONS: Record<string, string> = {
  createAlertRule: `createAlertRule(input: { alertRule: {
    id: "mine", name: "Mine", metric: "error_rate", operator: GREATER_THAN, threshold: 5, lookback: { minutes: 1 }, severity: INFO
  } }) { alertRule { version } }`,
  updateAlertRule: `updateAlertRule(input: { id: "mine", patch: { threshold: 6 } }) { alertRule { version } }`,
  deleteAlertRule: `deleteAlertRule(input: { id: "mine" }) { alertRule { id } }`,
  createSilence: `createSilence(input: { silence: { reason: "deploy", endsAt: "2100-01-01T00:00:00Z" } }) { silence { createdBy } }`,
  updateSilence: `updateSilence(input: { id: "1", patch: { reason: "long deploy" } }) { silence { reason } }`,
  deleteSilence: `deleteSilence(input: { id: "1" }) { silence { id } }`,
  acknowledgeAlert: `acknowledgeAlert(input: { alertId: "ALERT", comment: "mine" }) { alert { acknowledgedBy } }`,
  resolveAlert: `resolveAlert(input: { alertId: "ALERT", comment: "over" }) { alert { resolvedBy } }`,
  archive: "archive { tiers { tier } }",
};

describe("mutations", () => {
  const mutations = async () => {
    const [alert] = await db.sql`select id::text from analytics.active_alerts limit 1`;
    return Object.entries(MUTATIONS).map(([name, text]) => [name, text.replace("ALERT", alert!.id)] as const);
  };
  const tables = () =>
    db.sql`
      select
        (select jsonb_agg(r order by id) from analytics.alert_rules r) as rules,
        (select jsonb_agg(s order by id) from analytics.silences s) as silences,
        (select jsonb_agg(a order by id) from analytics.alerts a) as alerts`;

  test("are those of this test, and none writes events", () => {
    expect(Object.keys(schema.getMutationType()!.getFields()).sort()).toEqual(Object.keys(MUTATIONS).sort());
  });

  test("are all refused to a viewer, and change nothing", async () => {
    const before = await tables();
    for (const [name, mutation] of await mutations())
      expect((await api.asViewer(`mutation { ${mutation} }`)).errors, name).toMatchObject([
        { extensions: { code: "FORBIDDEN" } },
      ]);
    expect(await tables()).toEqual(before);
  });

  test("are all for operators, in the name of the token", async () => {
    const answers: Record<string, Answer["data"]> = {};
    for (const [name, mutation] of await mutations()) {
      const { data, errors } = await api.query(`mutation { ${mutation} }`);
      expect(errors, name).toBeUndefined();
      answers[name] = data[name];
    }
    expect(answers.acknowledgeAlert).toEqual({ alert: { acknowledgedBy: "tester" } });
    expect(answers.resolveAlert).toEqual({ alert: { resolvedBy: "tester" } });
    expect(answers.createSilence).toEqual({ silence: { createdBy: "tester" } });
    expect(answers.updateAlertRule).toEqual({ alertRule: { version: 2 } });
  });
});

function camelCase(name: string): string {
  return name.toLowerCase().replace(/_(.)/g, (_pair, letter: string) => letter.toUpperCase());
}
