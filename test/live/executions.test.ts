// Results of events over a schema of a few lines, whose reads are counted.

import { flagError, get, loadOne, makeGrafastSchema, SafeError, type Step } from "postgraphile/grafast";
import { parse } from "postgraphile/graphql";
import { beforeEach, describe, expect, test } from "vitest";
import { executions } from "../../src/live/executions.ts";

let reads: string[][];
let failure: Error | undefined;
beforeEach(() => {
  reads = [];
  failure = undefined;
});

const read = (ids: readonly string[]) => {
  reads.push([...ids]);
  if (failure) throw failure;
  return ids.map((id) => (id === "forbidden" ? flagError(new SafeError("not for you")) : `value of ${id}`));
};
const schema = makeGrafastSchema({
  typeDefs: `
    type Query { unused: Int }
    type Change { id: String! value: String }
    type Subscription { changed: Change! }
  `,
  objects: {
    Subscription: { plans: { changed: { plan: ($event: Step) => $event } } },
    Change: {
      plans: {
        value: ($event: Step<{ id: string }>) => loadOne(get($event, "id"), read as never),
      },
    },
  },
});
const document = parse("subscription { it: changed { id value } }");
const args = (more: object = {}) =>
  ({
    schema,
    document,
    contextValue: { pgSettings: { role: "viewer" } },
    resolvedPreset: {},
    ...more,
  }) as unknown as Grafast.ExecutionArgs;
const events = (...ids: string[]) => ids.map((id) => ({ id }));
const item = (id: string) => ({ data: { it: { id, value: `value of ${id}` } } });

test("one read for all events, a result for each in their order", async () => {
  const ids = Array.from({ length: 100 }, (_, n) => `${n}`);
  expect(await executions()(args(), events(...ids))).toEqual(ids.map(item));
  expect(reads).toEqual([ids]);
});

describe("subscribers", () => {
  test("who ask the same share the results", async () => {
    const execute = executions();
    const [first, second] = await Promise.all([execute(args(), events("a")), execute(args(), events("a"))]);
    expect(second).toBe(first);
    expect(await execute(args(), events("a"))).toBe(first);
    expect(reads).toEqual([["a"]]);
  });

  test.each([
    ["of another role", { contextValue: { pgSettings: { role: "operator" } } }],
    ["with other variables", { variableValues: { service: "web" } }],
    ["of another query", { document: parse("subscription { it: changed { id value } } ") }],
  ])("%s do not", async (_name, more) => {
    const execute = executions();
    await Promise.all([execute(args(), events("a")), execute(args(more), events("a"))]);
    expect(reads).toEqual([["a"], ["a"]]);
  });
});

test("an error is that of its event, where it is in the result of that event", async () => {
  const results = await executions()(args(), events("a", "forbidden", "b"));
  expect([results[0], results[2]]).toEqual([item("a"), item("b")]);
  expect(results[1]!.data).toEqual({ it: { id: "forbidden", value: null } });
  expect(results[1]!.errors).toMatchObject([{ message: "not for you", path: ["it", "value"] }]);
});

test("a database that cannot be reached is no result, and is asked again the next time", async () => {
  const execute = executions();
  failure = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
  await expect(execute(args(), events("a"))).rejects.toBe(failure);
  failure = undefined;
  expect(await execute(args(), events("a"))).toEqual([item("a")]);
});
