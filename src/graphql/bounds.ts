// Bounds on a query, before it is validated. Validation itself is what a hostile query attacks: a 1 kB document of fragments that
// spread each other twice keeps it busy for 143 s, 2 000 aliases for 30 s. Counting through the fragments, each of them once, takes
// well under a millisecond. Over a bound, the answer is 400 and says which one.

import "postgraphile/grafserv";
import { SafeError } from "postgraphile/grafast";
import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  Kind,
  parse,
  type SelectionSetNode,
} from "postgraphile/graphql";
import { note } from "../server/requests.ts";
import { PAGE_SIZE } from "./paging.ts";

/**
 * The introspection of an IDE has 230 fields, 15 deep, in 184 tokens; a dashboard of 40 lists with two columns each 160 fields. Each
 * object, a list or a row within another one, costs up to 20 ms of planning (180 of them 3.4 s), in which the process does nothing
 * else.
 */
export const BOUNDS = {
  tokens: 5_000,
  depth: 20,
  roots: 50,
  objects: 60,
  aliases: 200,
  introspectionAliases: 10, // an IDE needs none, and each one is the whole schema again
  fields: 2_000,
  rows: 100_000,
} as const;

const NOTHING = { depth: 0, fields: 0, objects: 0, aliases: 0, introspectionAliases: 0, rows: 0, isPage: false };
type Measure = typeof NOTHING;

/** Fields with fields of their own that are parts of a list, not objects beside it. */
const PARTS = new Set(["nodes", "pageInfo"]);

type Variables = Record<string, unknown>;
/** `rows`: the product of page sizes. */
type Operation = { kind: "query" | "mutation" | "subscription"; name: string | undefined; rows: number };

export const BoundsPlugin: GraphileConfig.Plugin = {
  name: "BoundsPlugin",
  version: "1.0.0",
  grafserv: {
    middleware: {
      processGraphQLRequestBody(next, { body, request }) {
        if (typeof body.query === "string") {
          const operations = assertBounded(body.query, isObject(body.variableValues) ? body.variableValues : {});
          const { operationName } = body;
          const asked = operations.find(({ name }) => name === operationName) ?? operations[0];
          const http = request?.requestContext.node?.req;
          const operation = typeof operationName === "string" ? operationName : asked?.name;
          if (http && operation) note(http, { operation });
          // `request` is there for what is answered with JSON; src/live has subscriptions.
          if (request && asked?.kind === "subscription")
            throw new SafeError("A subscription needs a WebSocket, or `Accept: text/event-stream`", {
              statusCode: 400,
              code: "BAD_REQUEST",
            });
        }
        return next();
      },
    },
  },
};

/**
 * Measures a document with its variables, and answers its operations.
 * @throws SafeError with status 400, naming the bound that it is over. What cannot be parsed is left to validation.
 */
export function assertBounded(query: string, variables: Variables = {}): Operation[] {
  let document: DocumentNode;
  try {
    document = parse(query, { maxTokens: BOUNDS.tokens, noLocation: true });
  } catch (error) {
    if (/more tha[nt] \d+ tokens/.test(String(error))) refuse("tokens", `more than ${BOUNDS.tokens}`, BOUNDS.tokens);
    // graphql's parser descends by recursion
    if (error instanceof RangeError) refuse("levels", "thousands", BOUNDS.depth);
    return [];
  }

  const fragments = new Map<string, FragmentDefinitionNode>();
  const values: Variables = {};
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    for (const { variable, defaultValue } of definition.variableDefinitions ?? [])
      if (defaultValue?.kind === Kind.INT) values[variable.name.value] = defaultValue.value;
  }
  Object.assign(values, variables);
  const measured = new Map<string, Measure>();
  const operations: Operation[] = [];

  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const { selectionSet } = definition;
    if (selectionSet.selections.length > BOUNDS.roots)
      refuse("root fields", selectionSet.selections.length, BOUNDS.roots);
    const { depth, fields, objects, aliases, introspectionAliases, rows } = measure(selectionSet);
    if (depth > BOUNDS.depth) refuse("levels", depth, BOUNDS.depth);
    if (fields > BOUNDS.fields) refuse("fields", fields, BOUNDS.fields);
    if (objects > BOUNDS.objects) refuse("objects", objects, BOUNDS.objects);
    if (aliases > BOUNDS.aliases) refuse("aliases", aliases, BOUNDS.aliases);
    if (introspectionAliases > BOUNDS.introspectionAliases)
      refuse("aliases within introspection", introspectionAliases, BOUNDS.introspectionAliases);
    if (rows > BOUNDS.rows) refuse("rows", rows, BOUNDS.rows);
    operations.push({ kind: definition.operation, name: definition.name?.value, rows });
  }
  return operations;

  function measure(set: SelectionSetNode): Measure {
    const sum = { ...NOTHING };
    for (const selection of set.selections) {
      const part =
        selection.kind === Kind.FIELD
          ? measureField(selection)
          : selection.kind === Kind.INLINE_FRAGMENT
            ? measure(selection.selectionSet)
            : measureFragment(selection.name.value);
      sum.depth = Math.max(sum.depth, part.depth);
      sum.fields += part.fields;
      sum.objects += part.objects;
      sum.aliases += part.aliases;
      sum.introspectionAliases += part.introspectionAliases;
      sum.rows += part.rows;
      sum.isPage ||= part.isPage;
    }
    return sum;
  }

  function measureField(field: FieldNode): Measure {
    const name = field.name.value;
    const inner = field.selectionSet ? measure(field.selectionSet) : NOTHING;
    const size = inner.isPage ? pageSize(field, values) : 1;
    const isObject = field.selectionSet && !PARTS.has(name);
    const isIntrospection = name.startsWith("__") && field.selectionSet;
    const aliases = inner.aliases + (field.alias ? 1 : 0);
    return {
      depth: inner.depth + 1,
      fields: inner.fields + 1,
      // Introspection plans nothing.
      objects: isIntrospection ? 0 : inner.objects + (isObject ? 1 : 0),
      aliases,
      introspectionAliases: isIntrospection ? aliases : inner.introspectionAliases,
      // A page costs its rows, and what is inside once a row.
      rows: size * inner.rows + (inner.isPage ? size : 0),
      isPage: name === "nodes",
    };
  }

  /** Each fragment once. One that contains itself counts nothing where it does; validation refuses it. */
  function measureFragment(name: string): Measure {
    const known = measured.get(name);
    if (known) return known;
    measured.set(name, NOTHING);
    const fragment = fragments.get(name);
    const found = fragment ? measure(fragment.selectionSet) : NOTHING;
    measured.set(name, found);
    return found;
  }
}

function pageSize(field: FieldNode, variables: Variables): number {
  for (const { name, value } of field.arguments ?? []) {
    if (name.value !== "first" && name.value !== "last") continue;
    const size =
      value.kind === Kind.VARIABLE ? variables[value.name.value] : value.kind === Kind.INT ? value.value : null;
    if (size != null && Number.isFinite(Number(size))) return Math.max(Number(size), 0);
  }
  return PAGE_SIZE;
}

function refuse(what: string, is: number | string, bound: number): never {
  throw new SafeError(`The query is too large: ${is} ${what}, the bound is ${bound}; ask in several queries`, {
    statusCode: 400,
    code: "QUERY_TOO_LARGE",
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
