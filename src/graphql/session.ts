// The settings of each transaction that a request runs in: as whom, queries cannot write, and nothing runs for ever.

import "postgraphile/grafserv";
import { getOperationAST } from "postgraphile/graphql";
import { identityOf } from "../server/identity.ts";

export const STATEMENT_TIMEOUT_MS = 10_000;

/** For `pgSettingsForIntrospection`: the schema has what the one who may do most can do. Postgres decides for each request. */
export const INTROSPECTION_SETTINGS = { role: "stacklens_operator" };

/** For `grafast.context`: what Postgres is told before each statement, by set_config, within its transaction. */
export function session(
  request: Partial<Grafast.RequestContext>,
  args: Grafast.ExecutionArgs,
): Partial<Grafast.Context> {
  const operation = getOperationAST(args.document, args.operationName)?.operation;
  const { role, subject } = identityOf(request.node?.req ?? request.ws?.request);
  return {
    pgSettings: {
      role: `stacklens_${role}`,
      "jwt.claims.sub": subject ?? "", // the author of what is written
      transaction_read_only: operation === "mutation" ? "off" : "on",
      statement_timeout: String(STATEMENT_TIMEOUT_MS),
      timezone: "UTC",
    },
  };
}
