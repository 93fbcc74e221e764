import {
  buildClientSchema,
  type GraphQLInputType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getIntrospectionQuery,
  getNamedType,
  type IntrospectionQuery,
  isEnumType,
  isInputObjectType,
  isIntrospectionType,
  isObjectType,
  isSpecifiedScalarType,
} from "graphql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { type Api, startApi } from "./api.ts";

let db: TestDatabase;
let api: Api;
let schema: GraphQLSchema;

beforeAll(async () => {
  db = await testDatabase();
  api = await startApi(db.url);
  const { data } = await api.query(getIntrospectionQuery());
  schema = buildClientSchema(data as IntrospectionQuery);
});
afterAll(async () => {
  await api.stop();
  await db.drop();
});

test("the root fields are the views, tables and functions of analytics, by the names that SQL gives them", () => {
  expect(Object.keys(schema.getQueryType()!.getFields()).sort()).toEqual(
    [
      "activeAlerts adhocQuery alert alertHistory alertRule alertRules alertStats alerts endpointMetrics5min events highRiskEvents",
      "metrics metrics1hour metrics1min metrics5min performanceTrend previewAlertRule rejectedEvents retention service",
      "serviceHealth serviceSummary services silences sla slowestServices stats topErrorServices",
    ].flatMap((line) => line.split(" ")),
  );
});

test("mutations edit rules and silences, acknowledge, resolve and archive, and nothing else", () => {
  expect(Object.keys(schema.getMutationType()!.getFields()).sort()).toEqual([
    "acknowledgeAlert",
    "archive",
    "createAlertRule",
    "createSilence",
    "deleteAlertRule",
    "deleteSilence",
    "resolveAlert",
    "updateAlertRule",
    "updateSilence",
  ]);
});

test("subscriptions are to changes of alerts and to health", () => {
  expect(Object.keys(schema.getSubscriptionType()!.getFields()).sort()).toEqual(["alertChanged", "serviceHealth"]);
});

test("nothing of the internal schema shows", async () => {
  const internals = await db.sql<{ name: string }[]>`
    select relname as name from pg_class where relnamespace = 'internal'::regnamespace and relkind in ('r', 'v')
    union
    select proname from pg_proc where pronamespace = 'internal'::regnamespace
    except
    select relname from pg_class where relnamespace = 'analytics'::regnamespace`;
  expect(internals.length).toBeGreaterThan(20);
  const camel = (name: string) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase()).toLowerCase();
  const hidden = new Set(internals.map(({ name }) => camel(name)));

  const roots = [schema.getQueryType()!, schema.getMutationType()!].flatMap((type) => Object.keys(type.getFields()));
  const shown = [...Object.keys(schema.getTypeMap()), ...roots].filter((name) => hidden.has(name.toLowerCase()));
  // the enum of that name is analytics.health
  expect(shown.filter((name) => name !== "Health")).toEqual([]);
});

type Described = { path: string; description: string; type?: GraphQLInputType | GraphQLOutputType };

/** Everything that can have a description, but what GraphQL itself brings along. */
function* described(): Generator<Described> {
  for (const type of Object.values(schema.getTypeMap())) {
    if (isIntrospectionType(type) || isSpecifiedScalarType(type)) continue;
    yield { path: type.name, description: type.description ?? "" };
    if (isEnumType(type))
      for (const value of type.getValues())
        yield { path: `${type.name}.${value.name}`, description: value.description ?? "" };
    if (!isObjectType(type) && !isInputObjectType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      const path = `${type.name}.${field.name}`;
      yield { path, description: field.description ?? "", type: field.type };
      for (const arg of "args" in field ? field.args : [])
        yield { path: `${path}(${arg.name})`, description: arg.description ?? "", type: arg.type };
    }
  }
}

describe("descriptions", () => {
  const without = (rule: RegExp) =>
    [...described()].filter(({ description }) => !rule.test(description)).map(({ path }) => path);
  const withMatch = (rule: RegExp) =>
    [...described()].flatMap(({ path, description }) => (description.match(rule) ?? []).map((is) => `${path}: ${is}`));

  test("are there, as sentences", () => {
    expect(without(/^(\p{Lu}|\d).*\.$/u)).toEqual([]);
  });

  test("are in the words of this API, not of PostGraphile", () => {
    expect(withMatch(/paginat|collection|equality|object’s|\bset of\b|our `|data universe|Reads /g)).toEqual([]);
  });

  test("call things as GraphQL does: no column of SQL, but the metrics that rules name", async () => {
    const metrics = await db.sql<{ name: string }[]>`select name from internal.alert_metrics()`;
    const allowed = ["alert_metrics", ...metrics.map(({ name }) => name)];
    const found = withMatch(/[a-z0-9]+(_[a-z0-9]+)+|\bNULL\b/g);
    expect(found.filter((is) => !allowed.includes(is.split(": ")[1]!))).toEqual([]);
  });

  test("say what a number counts, or its unit or range", () => {
    const UNIT =
      /\b(ms|percent|percentage points|bytes|unit|0\.\.1|0\.7|100\.\.599|number from \d|from \d|rows|events|requests|errors|users|addresses|services|messages|minutes|rules|alerts|chunks|years|months|days|hours|seconds)\b/i;
    const numbers = [...described()].filter(({ type }) => type && /^(Int|Float)$/.test(getNamedType(type).name));
    expect(numbers.length).toBeGreaterThan(150);
    expect(numbers.filter(({ description }) => !UNIT.test(description)).map(({ path }) => path)).toEqual([]);
  });
});

test("what has a closed set of values is an enum", () => {
  const CLOSED = /^(status|previousStatus|severity|level|health|operator|onNoData|resolution|tier|reason)$/;
  const isText = ({ path, type }: Described) => {
    const name = path.match(/(\w+)\)?$/)![1]!;
    return type && CLOSED.test(name) && getNamedType(type).name === "String" ? [path] : [];
  };
  // what a person writes
  const prose = ["Silence", "SilenceInput", "SilencePatch"].map((type) => `${type}.reason`);
  expect([...described()].flatMap(isText)).toEqual(prose);
});

test("there is one way to a row: nodes, without what Relay wants, and no condition on a key that a field takes", () => {
  const names = [...described()].map(({ path }) => path);
  expect(names.filter((path) => /Edge\b|\.(edges|node|nodeId|clientMutationId)$/.test(path))).toEqual([]);
  const keys = ["AlertCondition.id", "AlertRuleCondition.id", "ServiceCondition", "ActiveAlertCondition.id"];
  expect(names.filter((path) => keys.includes(path))).toEqual([]);
  expect(names.filter((path) => /By[A-Z]\w*$/.test(path) && !/\w+OrderBy$|\.\w+edBy$/.test(path))).toEqual([]);
});

test("rows of metrics are called after their buckets", () => {
  const rows = (field: string) => String(getNamedType(schema.getQueryType()!.getFields()[field]!.type));
  expect(["metrics1min", "metrics5min", "metrics1hour", "endpointMetrics5min", "metrics"].map(rows)).toEqual([
    "Metrics1MinConnection",
    "Metrics5MinConnection",
    "Metrics1HourConnection",
    "EndpointMetrics5MinConnection",
    "MetricsBucketConnection",
  ]);
});

test("enum values are upper case", () => {
  const enums = Object.values(schema.getTypeMap()).filter((type) => isEnumType(type) && !type.name.startsWith("__"));
  for (const type of enums)
    for (const { name } of isEnumType(type) ? type.getValues() : []) expect(name).toMatch(/^[A-Z][A-Z0-9_]*$/);
  expect(schema.getType("Resolution")).toMatchObject({
    _values: [{ name: "ONE_MINUTE" }, { name: "FIVE_MINUTES" }, { name: "ONE_HOUR" }],
  });
});

test("counts are numbers, ids and offsets are text", () => {
  const type = (name: string, field: string) => {
    const object = schema.getType(name);
    return isObjectType(object) ? String(object.getFields()[field]?.type) : undefined;
  };
  expect(type("Metrics1Min", "totalRequests")).toBe("Float!");
  expect(type("ServiceLevel", "failedRequests")).toBe("Float!");
  expect(type("Statistics", "ingestLag")).toBe("Float");
  expect(type("Alert", "id")).toBe("BigInt!");
  expect(type("RejectedEvent", "offset")).toBe("BigInt!");
});

test("ids are called id", () => {
  for (const name of ["Alert", "AlertRule", "Silence", "AlertHistory", "RejectedEvent"]) {
    const type = schema.getType(name);
    expect(isObjectType(type) && Object.keys(type.getFields()), name).toContain("id");
  }
});
