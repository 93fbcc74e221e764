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
import { PAGE_SIZE } from "./paging.ts";

/** A dashboard page needs some 100 fields; the introspection of the IDE about 150 fields, 15 deep, in 450 tokens. */
export const BOUNDS = {
  tokens: 5_000,
  depth: 20,
  roots: 50,
  aliases: 200,
  fields: 2_000,
  rows: 100_000,
} as const;

type Measure = { depth: number; fields: number; aliases: number; rows: number; isPage: boolean };
type Variables = Record<string, unknown>;

export const BoundsPlugin: GraphileConfig.Plugin = {
  name: "BoundsPlugin",
  version: "1.0.0",
  grafserv: {
    middleware: {
      processGraphQLRequestBody(next, { body }) {
        if (typeof body.query === "string")
          assertBounded(body.query, isObject(body.variableValues) ? body.variableValues : {});
        return next();
      },
    },
  },
};

/**
 * Measures a document with its variables.
 * @throws SafeError with status 400, naming the bound that it is over. What cannot be parsed is left to validation.
 */
export function assertBounded(query: string, variables: Variables = {}): void {
  let document: DocumentNode;
  try {
    document = parse(query, { maxTokens: BOUNDS.tokens, noLocation: true });
  } catch (error) {
    if (/more tha[nt] \d+ tokens/.test(String(error))) refuse("tokens", `more than ${BOUNDS.tokens}`, BOUNDS.tokens);
    return;
  }

  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  const measured = new Map<string, Measure>();

  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const { selectionSet } = definition;
    if (selectionSet.selections.length > BOUNDS.roots)
      refuse("root fields", selectionSet.selections.length, BOUNDS.roots);
    const { depth, fields, aliases, rows } = measure(selectionSet);
    if (depth > BOUNDS.depth) refuse("levels", depth, BOUNDS.depth);
    if (fields > BOUNDS.fields) refuse("fields", fields, BOUNDS.fields);
    if (aliases > BOUNDS.aliases) refuse("aliases", aliases, BOUNDS.aliases);
    if (rows > BOUNDS.rows) refuse("rows", rows, BOUNDS.rows);
  }

  function measure(set: SelectionSetNode): Measure {
    const sum: Measure = { depth: 0, fields: 0, aliases: 0, rows: 0, isPage: false };
    for (const selection of set.selections) {
      const part =
        selection.kind === Kind.FIELD
          ? measureField(selection)
          : selection.kind === Kind.INLINE_FRAGMENT
            ? measure(selection.selectionSet)
            : measureFragment(selection.name.value);
      sum.depth = Math.max(sum.depth, part.depth);
      sum.fields += part.fields;
      sum.aliases += part.aliases;
      sum.rows += part.rows;
      sum.isPage ||= part.isPage;
    }
    return sum;
  }

  function measureField(field: FieldNode): Measure {
    const inner = field.selectionSet ? measure(field.selectionSet) : undefined;
    const size = inner?.isPage ? pageSize(field, variables) : 1;
    return {
      depth: (inner?.depth ?? 0) + 1,
      fields: (inner?.fields ?? 0) + 1,
      aliases: (inner?.aliases ?? 0) + (field.alias ? 1 : 0),
      // A page costs its rows, and what is inside once a row.
      rows: size * (inner?.rows ?? 0) + (inner?.isPage ? size : 0),
      isPage: field.name.value === "nodes" || field.name.value === "edges",
    };
  }

  /** Each fragment once. One that contains itself counts nothing where it does; validation refuses it. */
  function measureFragment(name: string): Measure {
    const known = measured.get(name);
    if (known) return known;
    measured.set(name, { depth: 0, fields: 0, aliases: 0, rows: 0, isPage: false });
    const fragment = fragments.get(name);
    const measure_ = fragment ? measure(fragment.selectionSet) : measured.get(name)!;
    measured.set(name, measure_);
    return measure_;
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
