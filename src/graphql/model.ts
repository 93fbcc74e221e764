// What the SQL catalog cannot say about the model: keys of views, columns of views that are never NULL, relations, and what may
// be written. Everything else (names, types, descriptions) comes from the catalog; descriptions from `comment on`.

import { type PgSmartTagRule, pgSmartTags } from "postgraphile/utils";

type View = { key?: string; notNull: string };

const COUNTS = "total_requests failed_requests high_risk_count unique_users";
const BUCKETS = `${COUNTS} successful_requests unique_ips`;
const RANKS = "rank total_requests failed_requests";

const VIEWS: Record<string, View> = {
  metrics_1min: { key: "bucket,service", notNull: BUCKETS },
  metrics_5min: { key: "bucket,service", notNull: BUCKETS },
  metrics_1hour: { key: "bucket,service", notNull: BUCKETS },
  endpoint_metrics_5min: { key: "bucket,service,endpoint", notNull: BUCKETS },
  performance_trend: { key: "bucket,service", notNull: "total_requests" },
  service_health: { key: "service", notNull: `${COUNTS} last_seen` },
  top_error_services: { key: "service", notNull: `${RANKS} error_rate` },
  slowest_services: { key: "service", notNull: RANKS },
  high_risk_events: { notNull: "time service level business_risk_score" },
  active_alerts: { key: "id", notNull: "" },
};

/** Tables that people edit by mutations; every other one is read only. */
const EDITABLE = ["alert_rules", "silences"];

/** Functions that are not for clients of the API: the worker calls them. */
const NOT_FOR_CLIENTS = ["evaluate_alert_rules"];

/** Single rows by their key, for what one asks for by name. */
const SINGLE = ["services"];

/** Columns without an index that lists are filtered by all the same; `since` and `until` keep that cheap. */
const FILTERS: Record<string, string> = {
  events: "service endpoint level status_code request_id trace_id user_id",
};

export const ModelPlugin = pgSmartTags([
  ...Object.entries(VIEWS).flatMap(([view, { key, notNull }]) => [
    ...(key ? [tag("class", view, { primaryKey: key })] : []),
    ...notNull
      .split(" ")
      .filter(Boolean)
      .map((column) => tag("attribute", `${view}.${column}`, { notNull: true })),
  ]),
  ...Object.entries(FILTERS).flatMap(([table, columns]) =>
    columns.split(" ").map((column) => tag("attribute", `${table}.${column}`, { behavior: "+filterBy" })),
  ),
  ...SINGLE.map((table) => tag("class", table, { behavior: "+query:resource:single" })),
  ...EDITABLE.map((table) => tag("class", table, { behavior: "+resource:insert +resource:update +resource:delete" })),
  ...NOT_FOR_CLIENTS.map((name) => tag("procedure", name, { behavior: "-*" })),
]);

function tag(
  kind: "class" | "attribute" | "procedure",
  name: string,
  tags: Record<string, string | boolean>,
): PgSmartTagRule {
  return { kind, match: `analytics.${name}`, tags } as PgSmartTagRule;
}
