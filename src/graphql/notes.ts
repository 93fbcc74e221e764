// Tells the server what a GraphQL request was, for its log, metrics and events: the name of the operation, and whether it failed
// although HTTP says 200.

import "postgraphile/grafserv";
import type { ExecutionResult } from "postgraphile/graphql";
import { note } from "../server/requests.ts";
import { isFailure } from "./errors.ts";

export const NotesPlugin: GraphileConfig.Plugin = {
  name: "NotesPlugin",
  version: "1.0.0",
  grafserv: {
    middleware: {
      processGraphQLRequestBody(next, { body, request }) {
        const http = request?.requestContext.node?.req;
        const { operationName, query } = body;
        const operation =
          typeof operationName === "string" ? operationName : typeof query === "string" ? nameOf(query) : undefined;
        if (http && operation) note(http, { operation });
        return next();
      },
    },
  },
  grafast: {
    middleware: {
      async execute(next, { args }) {
        const result = await next();
        const http = (args.requestContext as Partial<Grafast.RequestContext> | undefined)?.node?.req;
        if (http && (result as ExecutionResult).errors?.some(isFailure)) note(http, { failed: true });
        return result;
      },
    },
  },
};

/** The name of the first operation; good enough for a name, and no parser. */
function nameOf(query: string): string | undefined {
  return /^\s*(?:query|mutation|subscription)\s+([_A-Za-z][_0-9A-Za-z]*)/m.exec(query)?.[1];
}
