// Counts are JSON numbers. Postgres counts in bigint, which PostGraphile gives as text; a count stays below 2^53, and charts want
// numbers. What identifies something (ids, Kafka offsets) stays text.

import "postgraphile";
import { TYPES } from "postgraphile/@dataplan/pg";

const IDENTIFIES = /(^id|Id|^offset)$/;

export const NumbersPlugin: GraphileConfig.Plugin = {
  name: "NumbersPlugin",
  version: "1.0.0",
  schema: {
    hooks: {
      GraphQLObjectType_fields_field(field, build, { scope: { pgFieldAttribute, fieldName } }) {
        if (pgFieldAttribute?.codec !== TYPES.bigint || IDENTIFIES.test(fieldName)) return field;
        const { GraphQLFloat, GraphQLNonNull, isNonNullType } = build.graphql;
        return { ...field, type: isNonNullType(field.type) ? new GraphQLNonNull(GraphQLFloat) : GraphQLFloat };
      },
    },
  },
};
