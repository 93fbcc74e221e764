// What lists can be filtered by, beside the built-in equality: a time range (`since` <= time < `until`) wherever rows have a time,
// and a threshold where the list is about one. Equality is kept for what names or classifies something; nobody asks for a
// latency that is exactly 12.5. Lists can be ordered by every column with an index, and those of views by every column, unless it
// says otherwise here; enums in the order of their declaration.

import "postgraphile";
import { type PgCodec, type PgCodecWithAttributes, type PgConditionLike, TYPES } from "postgraphile/@dataplan/pg";
import type { SQL } from "postgraphile/@dataplan/pg/pg-sql2";

/** The time of a row: the first of these columns that it has. */
const TIME_COLUMNS = ["bucket", "time", "received_at", "triggered_at", "as_of"];

/** Not filtered by equality: what is measured. */
const MEASURES = new Set<PgCodec>([TYPES.float, TYPES.float4, TYPES.timestamptz, TYPES.interval, TYPES.jsonb]);

/**
 * The columns that lists are filtered by, instead of those with an index: what names or classifies a row, except what has a field of
 * its own, such as `alert(id)`. `since` and `until` keep those without an index cheap.
 */
const FILTERS = columns({
  events: "service endpoint level status_code request_id trace_id user_id",
  high_risk_events:
    "service endpoint level status_code request_id trace_id user_id source_ip geo_country user_subscription_tier",
  services: "",
  alerts: "rule_id service severity status",
  active_alerts: "rule_id service severity status silenced",
  alert_history: "alert_id rule_id service status",
  alert_rules: "service severity enabled",
  silences: "rule_id service severity",
  rejected_events: "reason topic partition",
});

/** The same for order. */
const ORDERS = columns({
  high_risk_events: "time service business_risk_score latency_ms",
  services: "service last_seen",
  alerts: "id service severity status triggered_at",
  active_alerts: "rule_id service severity status triggered_at",
  alert_history: "id rule_id service as_of",
  alert_rules: "id name service severity updated_at",
  silences: "id rule_id starts_at ends_at",
  rejected_events: "id received_at",
  retention: "tier keep",
});

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
            const table = codec.extensions?.pg?.name ?? "";
            const isCount = type === TYPES.bigint && !/(^|_)(id|offset)$/.test(attributeName);
            const isMeasure = MEASURES.has(type) || isCount;
            const isIndexed = extensions?.isIndexed !== false;
            return [
              behavior,
              (FILTERS[table]?.has(attributeName) ?? (isIndexed && !isMeasure)) ? "filterBy" : "-filterBy",
              (ORDERS[table]?.has(attributeName) ?? isIndexed) ? "orderBy" : "-orderBy",
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
          extra.since = bound("since", time, sql`>=`, "Datetime", `Only rows whose \`${name}\` is this or later.`);
          extra.until = bound("until", time, sql`<`, "Datetime", `Only rows whose \`${name}\` is before this.`);
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

function columns(lists: Record<string, string>): Record<string, Set<string>> {
  return Object.fromEntries(Object.entries(lists).map(([table, names]) => [table, new Set(names.split(" "))]));
}
