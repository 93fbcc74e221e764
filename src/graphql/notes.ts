// Tells the server that a GraphQL request failed although HTTP says 200, for its metrics and events.

import "postgraphile/grafserv";
import type { ExecutionResult } from "postgraphile/graphql";
import { note } from "../server/requests.ts";
import { isFailure } from "./errors.ts";

export const NotesPlugin: GraphileConfig.Plugin = {
  name: "NotesPlugin",
  version: "1.0.0",
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
