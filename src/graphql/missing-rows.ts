// Updating or deleting a row that is not there is an error. PostGraphile answers null, which looks like success.

import "postgraphile";
import type { PgDeleteSingleStep, PgUpdateSingleStep } from "postgraphile/@dataplan/pg";
import { ObjectStep, SafeError, sideEffect } from "postgraphile/grafast";

type RowStep = PgUpdateSingleStep | PgDeleteSingleStep;

export const MissingRowsPlugin: GraphileConfig.Plugin = {
  name: "MissingRowsPlugin",
  version: "1.0.0",
  schema: {
    hooks: {
      GraphQLObjectType_fields_field(field, build, { scope }) {
        const { plan } = field;
        if (!plan || !(scope.isPgUpdateMutation || scope.isPgDeleteMutation)) return field;
        const resource = scope.pgFieldResource!;
        const type = build.inflection.tableType(resource.codec);
        const [key] = resource.uniques[0]!.attributes;
        return {
          ...field,
          plan($parent, args, info) {
            const $payload = plan($parent, args, info);
            if ($payload instanceof ObjectStep) {
              const $row = $payload.getStepForKey("result") as RowStep;
              sideEffect([$row.get(key as string), args.getRaw(["input", key as string])], ([found, asked]) => {
                if (found === null)
                  throw new SafeError(`There is no ${type} with ${String(key)} ${asked}`, { code: "NOT_FOUND" });
              });
            }
            return $payload;
          },
        };
      },
    },
  },
};
