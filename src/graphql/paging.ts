// The size of a page: PAGE_SIZE rows unless the query says otherwise, never more than PAGE_LIMIT. And cursors only where the rows
// have a key: without one, `after` would skip rows that look alike; `offset` works everywhere.

import "postgraphile";
import { ConnectionStep, lambda, SafeError } from "postgraphile/grafast";

export const PAGE_SIZE = 100;
export const PAGE_LIMIT = 1000;

const CURSOR_ARGUMENTS = ["after", "before", "last"];

export const PagingPlugin: GraphileConfig.Plugin = {
  name: "PagingPlugin",
  version: "1.0.0",
  after: ["PgFirstLastBeforeAfterArgsPlugin"],
  schema: {
    hooks: {
      GraphQLObjectType_fields_field_args(args, _build, { scope: { isPgFieldConnection, pgFieldResource: resource } }) {
        if (!isPgFieldConnection || !args.first) return args;
        // The sizes are applied together, below: the default of one depends on the other.
        for (const name of ["first", "last"]) if (args[name]) args[name] = without(args[name], "applyPlan");
        args.first.description = `Only the first \`n\` rows; ${PAGE_SIZE} unless given, at most ${PAGE_LIMIT}.`;
        if (args.last) args.last.description = `Only the last \`n\` rows; at most ${PAGE_LIMIT}.`;
        if (resource && !resource.parameters && resource.uniques.length === 0)
          for (const name of CURSOR_ARGUMENTS) delete args[name];
        if (args.offset)
          args.offset.description = `Skips so many rows${args.last ? ", not together with `last`" : ""}.`;
        return args;
      },
      GraphQLObjectType_fields_field(field, _build, { scope: { isPgFieldConnection } }) {
        const { plan } = field;
        if (!isPgFieldConnection || !plan) return field;
        return {
          ...field,
          plan($parent, args, info) {
            const $connection = plan($parent, args, info);
            if (!($connection instanceof ConnectionStep)) return $connection;
            const $first = args.getRaw("first");
            // The arguments of a field are known only now: they are added after this hook.
            if (info.field.args.some(({ name }) => name === "last")) {
              const $last = args.getRaw("last");
              $connection.setFirst(lambda([$first, $last], ([first, last]) => size("first", first, last), true));
              $connection.setLast(lambda($last, (last) => size("last", last, true), true));
            } else {
              $connection.setFirst(lambda($first, (first) => size("first", first, null), true));
            }
            return $connection;
          },
        };
      },
    },
  },
};

/** What was asked for, checked; the default where neither this nor the other end was asked for. */
function size(name: string, asked: number | null | undefined, other: unknown): number | null {
  if (asked == null) return other == null ? PAGE_SIZE : null;
  if (asked < 0 || asked > PAGE_LIMIT)
    throw new SafeError(`${name} is ${asked}: a page has 0 to ${PAGE_LIMIT} rows; page on with after or offset`, {
      code: "BAD_REQUEST",
    });
  return asked;
}

function without<T extends object>(object: T, key: string): T {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== key)) as T;
}
