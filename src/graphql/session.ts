// The settings of each transaction that a request runs in: queries cannot write, and nothing runs for ever.

import "postgraphile/grafserv";
import { getOperationAST } from "postgraphile/graphql";

export const STATEMENT_TIMEOUT_MS = 10_000;

/** For `grafast.context`: what Postgres is told before each statement, by set_config, within its transaction. */
export function session(
  _request: Partial<Grafast.RequestContext>,
  args: Grafast.ExecutionArgs,
): Partial<Grafast.Context> {
  const operation = getOperationAST(args.document, args.operationName)?.operation;
  return {
    pgSettings: {
      transaction_read_only: operation === "mutation" ? "off" : "on",
      statement_timeout: String(STATEMENT_TIMEOUT_MS),
      timezone: "UTC",
    },
  };
}
