// The field `adhocQuery`: SQL for operators. What is let through and how it runs is in src/adhoc.

import "postgraphile";
import { context, lambda, SafeError } from "postgraphile/grafast";
import { extendSchema } from "postgraphile/utils";
import type { AdhocQueries } from "../adhoc/queries.ts";
import { Refusal } from "../adhoc/refusal.ts";
import { requestRole, requestSubject } from "./role.ts";

declare global {
  namespace GraphileBuild {
    interface SchemaOptions {
      /** Who answers `adhocQuery`; without, it answers an error. */
      adhocQueries?: AdhocQueries;
    }
  }
}

const OPERATOR = "stacklens_operator";
export const MAX_ROWS = 1000;

export const AdhocQueryPlugin: GraphileConfig.Plugin = {
  ...extendSchema((build) => {
    const queries = build.options.adhocQueries;
    return {
      typeDefs: /* GraphQL */ `
        extend type Query {
          """
          The rows that one SQL SELECT over the schema analytics gives. For operators. It can only read, for 5 s at most; docs/adhoc.md
          says which relations, functions and types it may name.
          """
          adhocQuery(
            "One SELECT statement, at most 10 000 characters."
            sql: String!
            "At most this many rows, 1 to 1000."
            maxRows: Int = 100
          ): AdhocResult
        }

        "The answer to an ad-hoc query."
        type AdhocResult {
          "The columns, in the order of the SELECT; names may repeat."
          columns: [AdhocColumn!]!
          """
          The rows, each an array of values in the order of the columns. Numbers, booleans, JSON and arrays are such; times are ISO 8601
          in UTC; everything else is text as PostgreSQL writes it, and so are NaN, infinities and integers beyond 2^53.
          """
          rows: [JSON!]!
          "Whether there are more rows than these."
          truncated: Boolean!
        }

        "A column of the answer to an ad-hoc query."
        type AdhocColumn {
          "As the SELECT names it."
          name: String!
          "Of PostgreSQL, such as bigint or timestamp with time zone."
          type: String!
        }
      `,
      objects: {
        Query: {
          plans: {
            adhocQuery(_$root, args) {
              return lambda(
                [args.getRaw("sql"), args.getRaw("maxRows"), context()] as const,
                async ([sql, maxRows, context]) => {
                  if (requestRole(context as Grafast.Context) !== OPERATOR)
                    throw new SafeError("adhocQuery is for operators: send a token with the role operator", {
                      code: "FORBIDDEN",
                    });
                  const rows = (maxRows as number | null) ?? 100;
                  if (rows < 1 || rows > MAX_ROWS)
                    throw new SafeError(`maxRows is ${rows}: use 1 to ${MAX_ROWS}`, { code: "BAD_REQUEST" });
                  if (!queries) throw new SafeError("adhocQuery is not available here", { code: "UNAVAILABLE" });
                  return queries.query(String(sql), rows, requestSubject(context as Grafast.Context)).catch((error) => {
                    throw error instanceof Refusal ? new SafeError(error.message, { code: error.code }) : error;
                  });
                },
              );
            },
          },
        },
      },
    };
  }, "AdhocQueryPlugin"),
};
