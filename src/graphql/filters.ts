// What lists can be filtered by, beside the built-in equality: a time range (`since` <= time < `until`) wherever rows have a time,
// and a threshold where the list is about one. Equality is kept for what names or classifies something; nobody asks for a
// latency that is exactly 12.5. Enums can be ordered by, too, in the order of their declaration.

import "postgraphile";
import { type PgCodec, type PgCodecWithAttributes, type PgConditionLike, TYPES } from "postgraphile/@dataplan/pg";
import type { SQL } from "postgraphile/@dataplan/pg/pg-sql2";

/** The time of a row: the first of these columns that it has. */
const TIME_COLUMNS = ["bucket", "time", "received_at", "triggered_at", "as_of"];

/** Not filtered by equality: what is measured. */
const MEASURES = new Set<PgCodec>([TYPES.float, TYPES.float4, TYPES.timestamptz, TYPES.interval, TYPES.jsonb]);

export const FiltersPlugin: GraphileConfig.Plugin = {
  name: "FiltersPlugin",
  version: "1.0.0",
  schema: {
    entityBehavior: {
      pgCodecAttribute: {
        inferred: {
          provides: ["FiltersPlugin"],
          after: ["postInferred"],
          before: ["override"],
          callback(behavior, [codec, attributeName]) {
            const { codec: type, extensions } = codec.attributes[attributeName]!;
            const isCount = type === TYPES.bigint && !/(^|_)(id|offset)$/.test(attributeName);
            return [
              behavior,
              ...(MEASURES.has(type) || isCount ? ["-filterBy" as const] : []),
              ...("values" in type && extensions?.isIndexed !== false ? ["orderBy" as const] : []),
            ];
          },
        },
      },
    },
    hooks: {
      GraphQLInputObjectType_fields(fields, build, { scope: { isPgCondition, pgCodec }, fieldWithHooks }) {
        if (!isPgCondition || !pgCodec?.attributes) return fields;
        const codec = pgCodec as PgCodecWithAttributes;
        const { sql } = build;

        const bound = (fieldName: string, column: string, operator: SQL, type: string, description: string) =>
          fieldWithHooks({ fieldName }, () => ({
            type: build.getInputTypeByName(type),
            description,
            apply(condition: PgConditionLike, value: string | number | null) {
              if (value === null) return;
              const { sqlType } = codec.attributes[column]!.codec;
              const left = sql`${condition.alias}.${sql.identifier(column)}`;
              condition.where(sql`${left} ${operator} ${sql.value(value)}::${sqlType}`);
            },
          }));

        const extra: typeof fields = {};
        const time = TIME_COLUMNS.find((name) => codec.attributes[name]?.codec === TYPES.timestamptz);
        if (time) {
          const name = build.inflection.attribute({ codec, attributeName: time });
          extra.since = bound("since", time, sql`>=`, "Datetime", `Only rows with this \`${name}\` or a later one.`);
          extra.until = bound("until", time, sql`<`, "Datetime", `Only rows with a \`${name}\` before this.`);
        }
        if (codec.extensions?.pg?.name === "high_risk_events")
          extra.minRiskScore = bound(
            "minRiskScore",
            "business_risk_score",
            sql`>=`,
            "Float",
            "Only events with this `businessRiskScore` or a higher one.",
          );
        return build.extend(fields, extra, "FiltersPlugin");
      },
    },
  },
};
