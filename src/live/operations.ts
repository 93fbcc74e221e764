// What a WebSocket and an event stream have in common: one way to start a subscription, with the same bounds, settings and errors as
// a query, and how much there may be of it.

import type { ServerOptions } from "graphql-ws";
import { SafeError } from "postgraphile/grafast";
import { type GrafservBase, makeGraphQLWSConfig } from "postgraphile/grafserv";
import { createSourceEventStream, type ExecutionResult, GraphQLError, getOperationAST } from "postgraphile/graphql";
import { assertBounded, BOUNDS } from "../graphql/bounds.ts";
import { executions } from "./executions.ts";
import { results } from "./results.ts";
import { AT_ONCE } from "./stream.ts";
import type { Event, Topics } from "./topics.ts";

export const LIVE = {
  connections: 500, // WebSockets and event streams of this process
  connectionsOfClient: 100, // of one address
  subscriptions: 20, // of one WebSocket
  messageBytes: 100_000, // as a request
  initMs: 3_000, // until a WebSocket says who it is
  pingMs: 15_000, // silence after which a connection is asked whether it is there; one that does not answer is closed
  unreadBytes: 1_000_000, // what a client may leave unread before its connection is closed
} as const;

type Hooks = ServerOptions<Record<string, unknown> | undefined, unknown>;
type Config = { [K in "onSubscribe" | "onError" | "onNext"]-?: NonNullable<Hooks[K]> };
export type Context = Parameters<Config["onSubscribe"]>[0];

/** The configuration of graphql-ws that grafserv makes, for subscriptions alone: everything else has its bounds in HTTP. */
export function operations(serv: GrafservBase, topics: Topics) {
  const config = makeGraphQLWSConfig(serv) as Config;
  const execute = executions();
  return {
    ...config,
    async onSubscribe(...[context, id, payload]: Parameters<typeof config.onSubscribe>) {
      if (Object.keys(context.subscriptions).length > LIVE.subscriptions)
        return [
          refusal(`This connection has ${LIVE.subscriptions} subscriptions: end one, or open another connection`),
        ];
      const args = await config.onSubscribe(context, id, payload);
      if (!args || isErrors(args)) return args;
      const operation = getOperationAST(args.document, args.operationName)?.operation;
      if (operation !== undefined && operation !== "subscription")
        return [refusal(`This connection is for subscriptions: send a ${operation} by POST`)];
      return args;
    },
    async subscribe(args: Grafast.ExecutionArgs): Promise<AsyncIterableIterator<ExecutionResult> | ExecutionResult> {
      const { schema, document, variableValues, operationName } = args;
      const size = atOnce(args);
      let events: Awaited<ReturnType<typeof createSourceEventStream>>;
      try {
        events = await createSourceEventStream({
          schema,
          document,
          variableValues,
          operationName,
          subscribeFieldResolver: (_root, arguments_, _context, { fieldName }) => topics[fieldName]!(arguments_),
        });
      } catch (error) {
        // graphql-js does not expect that @skip or @include leaves a subscription without its field.
        if (error instanceof TypeError) return { errors: [refusal("The subscription selects no field")] };
        throw error;
      }
      if (!(Symbol.asyncIterator in events)) return events;
      return results(events as AsyncIterableIterator<Event[]>, size, (some) => execute(args, some));
    },
  };
}
export type Operations = ReturnType<typeof operations>;

/** Starts a subscription outside of a WebSocket: its results, which may be one with errors. */
export async function start(
  { onSubscribe, onError, onNext, subscribe }: Operations,
  context: Context,
  payload: Parameters<Operations["onSubscribe"]>[2],
): Promise<AsyncIterator<ExecutionResult>> {
  const failure = async (errors: readonly GraphQLError[]) =>
    ({ errors: (await onError(context, "", payload, errors)) ?? errors }) as ExecutionResult;

  const args = await onSubscribe(context, "", payload);
  if (!args) throw new Error("grafserv gave no arguments");
  if (isErrors(args)) return only(await failure(args));
  const masked = async (result: ExecutionResult) =>
    ((await onNext(context, "", payload, args, result)) || result) as ExecutionResult;
  const found = await subscribe(args as Grafast.ExecutionArgs);
  if (!("next" in found)) return only(await masked(found));

  // No generator: it would not return before there is another event.
  return {
    async next() {
      try {
        const next = await found.next();
        return next.done ? next : { done: false, value: await masked(next.value) };
      } catch (error) {
        const message = (error as Error).message;
        return { done: false, value: await failure([new GraphQLError(message, { originalError: error as Error })]) };
      }
    },
    return: () => found.return!(),
  };
}

async function* only(result: ExecutionResult) {
  yield result;
}

/** So many events are executed together; fewer where each one reads many rows, for a batch has the bound of a query. */
export function atOnce({
  document,
  operationName,
  variableValues,
}: Pick<Grafast.ExecutionArgs, "document" | "operationName" | "variableValues">): number {
  const operations = assertBounded(document.loc!.source.body, variableValues ?? {});
  const { rows } = operations.find(({ name }) => name === operationName) ?? operations[0]!;
  return Math.max(1, Math.min(AT_ONCE, Math.floor(BOUNDS.rows / Math.max(1, rows))));
}

function isErrors(it: object): it is readonly GraphQLError[] {
  return Array.isArray(it);
}

function refusal(message: string): GraphQLError {
  const originalError = new SafeError(message, { code: "BAD_REQUEST" });
  return new GraphQLError(message, { originalError });
}
