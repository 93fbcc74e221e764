// From events to results. Subscribers who ask the same with the same rights get the same results, worked out once.

import { execute } from "postgraphile/grafast";
import type { DocumentNode, ExecutionResult, GraphQLSchema } from "postgraphile/graphql";
import { asQueries, batchSchema, resultsOfEvents } from "../graphql/batches.ts";
import { isUnreachable } from "../graphql/errors.ts";
import type { Event } from "./topics.ts";

/** For how long results stay for those who send more slowly and ask a moment later. */
const KEPT_MS = 1_000;

/**
 * The results of events, one each, in their order.
 * @throws the error of a database that cannot be reached, where one of them met it.
 */
export type Execute = (args: Grafast.ExecutionArgs, events: Event[]) => Promise<ExecutionResult[]>;

export function executions(): Execute {
  const schemas = new WeakMap<GraphQLSchema, GraphQLSchema>();
  const queries = new WeakMap<DocumentNode, DocumentNode>();
  const known = new WeakMap<DocumentNode, Map<string, Promise<ExecutionResult[]>>>();

  async function run(args: Grafast.ExecutionArgs, events: Event[]): Promise<ExecutionResult[]> {
    const result = (await execute({
      ...args,
      schema: remembered(schemas, args.schema, batchSchema),
      document: remembered(queries, args.document, asQueries),
      rootValue: events,
      contextValue: { ...args.contextValue }, // what Postgres answered is kept with it
    })) as ExecutionResult;
    const unreachable = result.errors?.find(({ originalError }) => originalError && isUnreachable(originalError));
    if (unreachable) throw unreachable.originalError;
    return resultsOfEvents(result, events.length);
  }

  return (args, events) => {
    const sameDocument = remembered(known, args.document, () => new Map<string, Promise<ExecutionResult[]>>());
    const { operationName, variableValues, onError, contextValue } = args;
    const { pgSettings } = contextValue as Grafast.Context;
    const key = JSON.stringify([operationName, variableValues, onError, pgSettings, events.map(({ id }) => id)]);
    const same = sameDocument.get(key);
    if (same) return same;

    const results = run(args, events);
    sameDocument.set(key, results);
    const forget = () => sameDocument.delete(key);
    results.then(() => setTimeout(forget, KEPT_MS).unref(), forget);
    return results;
  };
}

function remembered<K extends object, V>(values: WeakMap<K, V>, key: K, make: (key: K) => V): V {
  const value = values.get(key) ?? make(key);
  values.set(key, value);
  return value;
}
