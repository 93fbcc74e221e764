// The settings of each transaction that a request runs in: queries cannot write, and nothing runs for ever.

import type { IncomingMessage } from "node:http";
import "postgraphile/grafserv";
import { getOperationAST } from "postgraphile/graphql";

export const STATEMENT_TIMEOUT_MS = 10_000;

/**
 * What Postgres is told before each statement of a request, by set_config, within its transaction. Without a request: of the least
 * there is.
 */
export function pgSettings(_request: IncomingMessage | undefined, operation: string | undefined): Record<string, string> {
  return {
    transaction_read_only: operation === "mutation" ? "off" : "on",
    statement_timeout: String(STATEMENT_TIMEOUT_MS),
    timezone: "UTC",
  };
}

/** For `grafast.context`: the same over HTTP and over WebSockets. */
export function session(
  request: Partial<Grafast.RequestContext>,
  args: Grafast.ExecutionArgs,
): Partial<Grafast.Context> {
  const operation = getOperationAST(args.document, args.operationName)?.operation;
  return { pgSettings: pgSettings(request.node?.req ?? request.ws?.request, operation) };
}
