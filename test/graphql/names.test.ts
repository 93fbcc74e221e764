import {
  buildClientSchema,
  type GraphQLSchema,
  getIntrospectionQuery,
  type IntrospectionQuery,
  isEnumType,
  isObjectType,
} from "graphql";
import { afterAll, beforeAll, expect, test } from "vitest";
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
  const fields = Object.values(schema.getSubscriptionType()!.getFields());
  expect(fields.map(({ name }) => name).sort()).toEqual(["alertChanged", "serviceHealth"]);
  for (const { description, args } of fields)
    for (const text of [description, ...args.map((arg) => arg.description)]) expect(text).toMatch(/\w{3}/);
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

test("every list and function has a description of its own", () => {
  for (const [name, field] of Object.entries(schema.getQueryType()!.getFields()))
    if (!["alert", "alertRule", "service"].includes(name))
      expect(field.description, name).not.toMatch(/^$|^Reads and enables|^undefined/);
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
  expect(type("Metrics", "totalRequests")).toBe("Float!");
  expect(type("ServiceLevel", "failedRequests")).toBe("Float");
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
