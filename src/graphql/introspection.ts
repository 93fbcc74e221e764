// With GRAPHQL_INTROSPECTION=off nobody can ask for the schema, and errors do not guess at names of it.

import "postgraphile/grafserv";
import { SafeError } from "postgraphile/grafast";
import { parse, visit } from "postgraphile/graphql";

export const NoIntrospectionPlugin: GraphileConfig.Plugin = {
  name: "NoIntrospectionPlugin",
  version: "1.0.0",
  grafserv: {
    middleware: {
      processGraphQLRequestBody(next, { body }) {
        if (typeof body.query === "string") refuseIntrospection(body.query);
        return next();
      },
    },
  },
};

function refuseIntrospection(query: string): void {
  if (!/__(schema|type)\b/.test(query)) return;
  let document: ReturnType<typeof parse>;
  try {
    document = parse(query, { noLocation: true, maxTokens: 5_000 });
  } catch {
    return; // validation says what is wrong with it
  }
  visit(document, {
    Field({ name }) {
      if (name.value === "__schema" || name.value === "__type")
        throw new SafeError("Introspection is off here: schema.graphql of the project has the schema", {
          statusCode: 400,
          code: "INTROSPECTION_OFF",
        });
    },
  });
}

/** A message of validation without the names that exist. */
export function withoutSuggestions(message: string): string {
  return message.replace(/ Did you mean [\s\S]*\?$/, "");
}
