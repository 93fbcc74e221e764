// What a WebSocket and an event stream have in common: one way to start a subscription, with the same bounds, settings and errors as
// a query, and how much there may be of it.

import type { ServerOptions } from "graphql-ws";
import { isAsyncIterable, SafeError } from "postgraphile/grafast";
import { type GrafservBase, makeGraphQLWSConfig } from "postgraphile/grafserv";
import { type ExecutionResult, GraphQLError, getOperationAST } from "postgraphile/graphql";

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
type Config = { [K in "onSubscribe" | "onError" | "onNext" | "subscribe"]-?: NonNullable<Hooks[K]> };
export type Context = Parameters<Config["onSubscribe"]>[0];

/** The configuration of graphql-ws that grafserv makes, for subscriptions alone: everything else has its bounds in HTTP. */
export function operations(serv: GrafservBase) {
  const config = makeGraphQLWSConfig(serv) as Config;
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
  };
}
export type Operations = ReturnType<typeof operations>;

/** Starts a subscription outside of a WebSocket: its results, which may be one with errors. */
export async function start(
  { onSubscribe, onError, onNext, subscribe }: Operations,
  context: Context,
  payload: Parameters<Operations["onSubscribe"]>[2],
): Promise<AsyncIterable<ExecutionResult>> {
  const only = async function* (result: unknown) {
    yield result as ExecutionResult;
  };
  const failed = async (errors: readonly GraphQLError[]) =>
    only({ errors: (await onError(context, "", payload, errors)) ?? errors });

  const args = await onSubscribe(context, "", payload);
  if (!args) throw new Error("grafserv gave no arguments");
  if (isErrors(args)) return failed(args);
  const results: unknown = await subscribe(args);
  const masked = async (result: ExecutionResult) => (await onNext(context, "", payload, args, result)) || result;
  if (!isAsyncIterable(results)) return only(await masked(results as ExecutionResult));

  return (async function* () {
    try {
      for await (const result of results) yield (await masked(result as ExecutionResult)) as ExecutionResult;
    } catch (error) {
      yield* await failed([new GraphQLError((error as Error).message, { originalError: error as Error })]);
    }
  })();
}

function isErrors(it: object): it is readonly GraphQLError[] {
  return Array.isArray(it);
}

function refusal(message: string): GraphQLError {
  const originalError = new SafeError(message, { code: "BAD_REQUEST" });
  return new GraphQLError(message, { originalError });
}
