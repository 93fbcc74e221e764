// Order of lists. What is mended here, each found by paging through lists and counting:
// - graphile-build-pg takes the first column of a composite key for unique, so that `orderBy: [BUCKET_DESC]` gets no tie-break
//   and cursor pages lose rows (248 of 288 came). Without the false claim it appends the key by itself.
// - Its cursor conditions have NULLs on the wrong side: pages show them again and again, or never (320 of 288 came). Ordered by
//   "is NULL" first, rows with and without a value never meet in one condition; and NULLs come last in both directions.
// - NATURAL is left out, since the order that the database happens to find rows in is nothing to ask for; and PRIMARY_KEY, which is
//   another name for the order by a column.
// - The default order is the one that a dashboard wants: newest first, highest rank first, else by key.

import "postgraphile";
import { type PgCodecWithAttributes, type PgSelectQueryBuilder, TYPES } from "postgraphile/@dataplan/pg";

/** The first of these that a list can be ordered by is its default. */
const DEFAULT_ORDER = ["BUCKET_DESC", "TIME_DESC", "RECEIVED_AT_DESC", "TRIGGERED_AT_DESC", "AS_OF_DESC", "RANK_ASC"];

/** Lists whose default is another one. */
const OWN_ORDER: Record<string, string[]> = {
  active_alerts: ["SEVERITY_DESC", "TRIGGERED_AT_ASC"],
  retention: ["KEEP_ASC"],
};

type Apply = (queryBuilder: PgSelectQueryBuilder) => void;

export const OrderPlugin: GraphileConfig.Plugin = {
  name: "OrderPlugin",
  version: "1.0.0",
  after: ["PgOrderAllAttributesPlugin", "PgOrderByPrimaryKeyPlugin", "PgConnectionArgOrderByDefaultValuePlugin"],
  schema: {
    hooks: {
      GraphQLEnumType_values(values, build, { scope: { isPgRowSortEnum, pgCodec } }) {
        if (!isPgRowSortEnum || !pgCodec?.attributes) return values;
        const codec = pgCodec as PgCodecWithAttributes;
        const { sql, inflection } = build;
        const uniques = build.pgTableResource(codec)?.uniques ?? [];
        for (const name of ["NATURAL", "PRIMARY_KEY_ASC", "PRIMARY_KEY_DESC"]) delete values[inflection.builtin(name)];

        for (const [attributeName, { notNull }] of Object.entries(codec.attributes)) {
          const isUnique = uniques.some(({ attributes }) => attributes.join() === attributeName);
          const byNull: Apply = (queryBuilder) => {
            const fragment = sql`(${queryBuilder.alias}.${sql.identifier(attributeName)} is null)`;
            queryBuilder.orderBy({ fragment, codec: TYPES.boolean, direction: "ASC" });
          };
          for (const variant of ["asc", "desc"] as const) {
            const value = values[inflection.orderByAttributeEnum({ codec, attributeName, variant })];
            const original = (value?.extensions?.grafast as { apply: Apply } | undefined)?.apply;
            if (!original) continue;
            const apply: Apply = (queryBuilder) => {
              if (!notNull) byNull(queryBuilder);
              original(isUnique ? queryBuilder : withoutClaim(queryBuilder));
            };
            value!.extensions = { ...value!.extensions, grafast: { apply } };
          }
        }
        return values;
      },
      GraphQLObjectType_fields_field_args_arg(arg, build, { scope }) {
        const { argName, isPgFieldConnection, pgFieldResource: resource } = scope;
        if (argName !== "orderBy" || !isPgFieldConnection || !resource || resource.parameters) return arg;
        const type = build.getTypeByName(build.inflection.orderByType(build.inflection.tableType(resource.codec)));
        if (!build.graphql.isEnumType(type)) return arg;
        const key = resource.uniques[0]?.attributes[0]?.toUpperCase();
        const names =
          OWN_ORDER[resource.name] ??
          [...DEFAULT_ORDER, `${key}_ASC`].filter((name) => type.getValue(name)).slice(0, 1);
        return { ...arg, defaultValue: names.map((name) => type.getValue(name)!.value) };
      },
    },
  },
};

function withoutClaim(queryBuilder: PgSelectQueryBuilder): PgSelectQueryBuilder {
  return Object.create(queryBuilder, { setOrderIsUnique: { value() {} } });
}
