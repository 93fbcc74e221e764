// What a client reads when something fails. An error of Postgres that the client can do something about keeps its message and gets
// a code; every other one is logged under an id, and the client gets the id.

import { randomUUID } from "node:crypto";
import { isSafeError } from "postgraphile/grafast";
import { GraphQLError, type GraphQLFormattedError } from "postgraphile/graphql";
import { log } from "../log.ts";
import { withoutSuggestions } from "./introspection.ts";
import { STATEMENT_TIMEOUT_MS } from "./session.ts";

type PostgresError = Error & {
  code?: string;
  detail?: string;
  hint?: string;
  constraint?: string;
  routine?: string;
  table?: string;
  column?: string;
};
/** Where Postgres says that an error of a function's `raise` comes from. */
const RAISED = "exec_stmt_raise";

type Answer = { code: string; message: string };

/** Whether an error that execution met is ours, not the client's. */
export function isFailure({ originalError }: GraphQLError): boolean {
  if (!originalError || originalError instanceof GraphQLError || isSafeError(originalError)) return false;
  const answer = known(originalError);
  return !answer || answer.code === "UNAVAILABLE";
}

/** What may be told: in production no words of Postgres's own, without introspection no names of the schema. */
type Telling = { production: boolean; introspection: boolean };

/** For `grafserv.maskError`. */
export const masking = (telling: Telling) => (error: GraphQLError | GraphQLFormattedError) => mask(error, telling);

/** As it is in development. */
export const maskError = masking({ production: false, introspection: true });

function mask(error: GraphQLError | GraphQLFormattedError, { production, introspection }: Telling): GraphQLError {
  const { originalError, nodes, source, positions, path } = error as GraphQLError;
  // Of the query itself: syntax, validation, variables.
  if (!originalError || originalError instanceof GraphQLError) {
    if (introspection) return error as GraphQLError;
    return new GraphQLError(withoutSuggestions(error.message), {
      nodes: nodes ?? null,
      source: source ?? null,
      positions: positions ?? null,
      path: path ?? null,
    });
  }

  if (isUnreachable(originalError)) log.warn("the database cannot be reached", { error: originalError });
  const { message, ...extensions } = isSafeError(originalError)
    ? { code: "BAD_REQUEST", ...(originalError.extensions as object), message: originalError.message }
    : (known(originalError, production) ?? internal(originalError));
  return new GraphQLError(message, {
    nodes: nodes ?? null,
    source: source ?? null,
    positions: positions ?? null,
    path: path ?? null,
    originalError,
    extensions,
  });
}

/** What to say about an error of Postgres or of the way to it; undefined: nothing to a client. */
function known(error: PostgresError, production = false): Answer | undefined {
  const { code = "", detail } = error;
  const message = error.hint ? `${error.message}. ${error.hint}` : error.message;
  switch (code) {
    case "23505":
      return { code: "ALREADY_EXISTS", message: detail ?? message };
    case "23503":
      return { code: "IN_USE_OR_MISSING", message: detail ?? message };
    case "23502":
      return { code: "BAD_REQUEST", message: `${error.column} must not be null` };
    case "23514":
      // Our constraints are named after what they say; triggers that refuse with this code bring a message of their own.
      return {
        code: "BAD_REQUEST",
        message: error.constraint ? `${error.table} must hold: ${error.constraint.replaceAll("_", " ")}` : message,
      };
    case "22021": // in a text
    case "22P05": // in JSON
      return { code: "BAD_REQUEST", message: "A text must not contain the character NUL (U+0000)" };
    case "25006":
      return { code: "READ_ONLY", message: "Queries cannot write: use a mutation" };
    case "42501":
      return {
        code: "FORBIDDEN",
        message: `This is for operators: send a token with the role operator${production ? "" : ` (${message})`}`,
      };
    case "57014":
      return {
        code: "TIMEOUT",
        message: `The database did not finish within ${STATEMENT_TIMEOUT_MS / 1000} s: ask for a shorter time range or fewer rows`,
      };
  }
  // Bad values, exceptions that our functions raise, and our own codes (SL...). What Postgres itself says quotes the value, which
  // need not be one of the client's.
  if (production && /^22/.test(code) && error.routine !== RAISED)
    return { code: "BAD_REQUEST", message: `A value is not what its type takes (SQLSTATE ${code})` };
  if (/^(22|SL|P0001)/.test(code)) return { code: "BAD_REQUEST", message: detail ? `${message}: ${detail}` : message };
  if (message.startsWith("No values were deleted"))
    return { code: "NOT_FOUND", message: "There is no row with this key" };
  if (isUnreachable(error))
    return { code: "UNAVAILABLE", message: "The database cannot be reached at the moment: try again, see /readyz" };
  return undefined;
}

/** Whether the database, not the statement, is what fails. */
export function isUnreachable(error: Error & { code?: string }): boolean {
  return (
    /^(08|53|57P|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ENOENT)/.test(error.code ?? "") ||
    /connection terminated|connection timeout|timeout exceeded when trying to connect/i.test(error.message)
  );
}

function internal(error: Error): Answer & { id: string } {
  const id = randomUUID();
  log.error("a request failed", { id, error, stack: error.stack?.split("\n").slice(1, 6).join(" ") });
  return {
    code: "INTERNAL",
    id,
    message: `Something went wrong; the log of the server has it under ${id}: ask who runs it`,
  };
}
