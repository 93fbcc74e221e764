// Hostile queries: refused with 400 and a reason, fast, and without touching the database; honest ones pass.

import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { getIntrospectionQuery } from "graphql";
import { isSafeError } from "postgraphile/grafast";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { assertBounded, BOUNDS } from "../../src/graphql/bounds.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { type Api, post, startApi } from "./api.ts";

const QUICKLY_MS = 500; // 10 ms on an idle machine; validation of the worst one took 143 s

let db: TestDatabase;
let api: Api;

beforeAll(async () => {
  db = await testDatabase();
  api = await startApi(db.url);
  await api.query("{ services { nodes { service } } }");
});
afterAll(async () => {
  await api.stop();
  await db.drop();
});

const times = (count: number, of: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => of(index)).join(" ");

/** Each fragment spreads the next one twice: 2^30 fields in 1 kB. */
const bomb = `{ ...f0 } ${times(30, (n) => `fragment f${n} on Query { ...f${n + 1} ...f${n + 1} }`)} fragment f30 on Query { __typename }`;

const nested = (depth: number) =>
  `{ services { nodes { ${"alerts { nodes { ".repeat(depth)} id ${"} }".repeat(depth)} } } }`;

describe("refused", () => {
  test.each([
    ["a fragment bomb", bomb, "fields"],
    ["thousands of aliases", `{ ${times(2000, (n) => `a${n}: __typename`)} }`, "tokens|root fields"],
    ["aliases inside of a list", `{ services { nodes { ${times(201, (n) => `a${n}: service`)} } } }`, "aliases"],
    [
      "the schema many times",
      `{ ${times(11, (n) => `a${n}: __schema { types { name } }`)} }`,
      "aliases within introspection",
    ],
    [
      "the fields of each type many times",
      `{ __schema { types { ${times(11, (n) => `a${n}: fields { name }`)} } } }`,
      "aliases within introspection",
    ],
    ["many root fields", `{ ${times(51, (n) => `a${n}: services { totalCount }`)} }`, "root fields"],
    ["a deep query", nested(12), "levels"],
    [
      "lists side by side",
      `{ services { nodes { ${times(60, () => "alerts(first: 1) { totalCount }")} } } }`,
      "objects",
    ],
    [
      "very many tokens",
      `{ services(condition: { service: "x" }) { nodes { ${"service ".repeat(6000)} } } }`,
      "tokens",
    ],
    [
      "pages within pages",
      "{ services(first: 1000) { nodes { metrics1min(first: 1000) { nodes { bucket } } } } }",
      "rows",
    ],
    ["the same from the end", "{ services(first: 1000) { nodes { alerts(last: 1000) { nodes { id } } } } }", "rows"],
    [
      "the same through fragments",
      `{ services(first: 1000) { ...s } } fragment s on ServiceConnection { nodes { ...m } }
       fragment m on Service { metrics1min(first: 1000) { ...n } } fragment n on Metrics1MinConnection { nodes { bucket } }`,
      "rows",
    ],
  ])("%s", async (_name, query, bound) => {
    const began = performance.now();
    const { status, errors, data } = await api.query(query);
    expect(performance.now() - began).toBeLessThan(QUICKLY_MS);
    expect(status).toBe(400);
    expect(data).toBeUndefined();
    expect(errors).toMatchObject([{ extensions: { code: "QUERY_TOO_LARGE" } }]);
    expect(errors![0]!.message).toMatch(new RegExp(`The query is too large: .*(${bound}), the bound is \\d+`));
  });

  test("pages within pages whose size comes in variables", async () => {
    const query = `query ($n: Int) { services(first: $n) { nodes { metrics1min(first: $n) { nodes { bucket } } } } }`;
    expect(await api.query(query, { n: 1000 })).toMatchObject({ status: 400 });
    expect((await api.query(query, { n: 10 })).errors).toBeUndefined();
    const inDefault = query.replace("$n: Int", "$n: Int = 1000");
    expect(await api.query(inDefault)).toMatchObject({ status: 400 });
    expect((await api.query(inDefault, { n: 10 })).errors).toBeUndefined();
  });

  test("a fragment that contains itself", async () => {
    const { status, errors } = await api.query("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }");
    expect(status).toBe(400);
    expect(errors![0]!.message).toMatch(/Cannot spread fragment "a" within itself/);
  });

  test("a body over the limit", async () => {
    const response = await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ query: `{ stats { services } } # ${"x".repeat(150_000)}` }),
    });
    expect(response.status).toBe(413);
  });

  test.each(["application/x-www-form-urlencoded", "text/plain", "application/graphql"])(
    "%s, which a foreign page could send",
    async (type) => {
      const response = await fetch(`${api.url}/graphql`, {
        method: "POST",
        headers: { "Content-Type": type },
        body: "query={stats{services}}",
      });
      expect(response.status).toBe(415);
    },
  );

  test("what is not a query", async () => {
    for (const body of [null, [], "x", {}, { query: 7 }, { query: "{" }, { query: "{ nothing }" }])
      expect((await post(api.url, body)).status, JSON.stringify(body)).toBe(400);
  });

  test("a query by GET", async () => {
    const response = await fetch(`${api.url}/graphql?query={stats{services}}`);
    expect(response.status).toBe(405);
  });
});

test("whatever comes in, the measure is an answer or a refusal, never another error", async () => {
  const part = fc.constantFrom(
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "...",
    "query",
    "fragment",
    "on",
    "a",
    "nodes",
    "__schema",
    ":",
    "$n",
    "first:",
    "1e999",
    "-5",
    '"',
    "\n",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc.array(part, { maxLength: 200 }).map((parts) => parts.join(" ")),
      ),
      fc.dictionary(fc.string(), fc.jsonValue()),
      (query, variables) => {
        try {
          assertBounded(query, variables);
        } catch (error) {
          expect(isSafeError(error as Error)).toBe(true);
        }
      },
    ),
    { numRuns: 2_000 },
  );
  // Meanwhile this process did nothing else: connections that were idle for too long are closed now, not under the next request.
  await sleep(200);
});

describe("allowed", () => {
  test("the introspection of an IDE, with every option", async () => {
    const query = getIntrospectionQuery({
      inputValueDeprecation: true,
      specifiedByUrl: true,
      directiveIsRepeatable: true,
      schemaDescription: true,
      oneOf: true,
    });
    const { status, errors } = await api.query(query);
    expect(errors).toBeUndefined();
    expect(status).toBe(200);
  });

  test("a dashboard of 40 panels", async () => {
    const panels = times(40, (n) => `p${n}: metrics5min(first: 288) { nodes { bucket latencyP95 } }`);
    const { status, errors } = await api.query(`{ ${panels} }`);
    expect(errors).toBeUndefined();
    expect(status).toBe(200);
  });

  test("a query just below the bounds", async () => {
    const fields = times(BOUNDS.aliases, (n) => `a${n}: service`);
    expect((await api.query(`{ services { nodes { ${fields} } } }`)).errors).toBeUndefined();
    expect((await api.query(nested(1))).errors).toBeUndefined();
  });
});
