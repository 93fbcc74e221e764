// The settings of each transaction that a request runs in: as whom, queries cannot write, and nothing runs for ever.

import type { IncomingMessage } from "node:http";
import "postgraphile/grafserv";
import { getOperationAST } from "postgraphile/graphql";
import { identityOf } from "../server/identity.ts";

export const STATEMENT_TIMEOUT_MS = 10_000;

/** For `pgSettingsForIntrospection`: the schema has what the one who may do most can do. Postgres decides for each request. */
export const INTROSPECTION_SETTINGS = { role: "stacklens_operator" };

/**
 * What Postgres is told before each statement of a request, by set_config, within its transaction. Without a request: what is
 * said of somebody without a token.
 */
export function pgSettings(
  request: IncomingMessage | undefined,
  operation: string | undefined,
): Record<string, string> {
  const { role, subject } = identityOf(request);
  return {
    role: `stacklens_${role}`,
    // The author of what is written. Nothing is by a subscription: to subscribers of one role the answers are the same.
    "jwt.claims.sub": operation === "subscription" ? "" : (subject ?? ""),
    transaction_read_only: operation === "mutation" ? "off" : "on",
    statement_timeout: String(STATEMENT_TIMEOUT_MS),
    timezone: "UTC",
    jit: "off", // it compiles for 30 ms what runs for 10
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
