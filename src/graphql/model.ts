// What the SQL catalog cannot say about the model: keys of views, columns of views that are never NULL, relations, what may be
// written and by which columns a list may be filtered. Everything else comes from the catalog, descriptions from `comment on`.

import { type PgSmartTagRule, pgSmartTags } from "postgraphile/utils";

const COUNTS = "total_requests failed_requests high_risk_count unique_users";
const BUCKETS = `${COUNTS} successful_requests unique_ips`;
const RANKS = "rank total_requests failed_requests";

const VIEWS: Record<string, { key?: string; notNull: string }> = {
  metrics_1min: { key: "bucket,service", notNull: BUCKETS },
  metrics_5min: { key: "bucket,service", notNull: BUCKETS },
  metrics_1hour: { key: "bucket,service", notNull: BUCKETS },
  endpoint_metrics_5min: { key: "bucket,service,endpoint", notNull: BUCKETS },
  performance_trend: { key: "bucket,service", notNull: "total_requests" },
  service_health: { key: "service", notNull: `${COUNTS} last_seen` },
  top_error_services: { key: "service", notNull: `${RANKS} error_rate` },
  slowest_services: { key: "service", notNull: RANKS },
  high_risk_events: { notNull: "time service level business_risk_score" },
  active_alerts: {
    key: "id",
    notNull:
      "rule_id rule_name service severity status reason metric operator threshold message labels " +
      "triggered_at firing_for silenced evaluated_at",
  },
  alert_preview: { notNull: "service status reason started_at" }, // a type, but the same goes for its columns
};

/** Lists inside of a service, so that one request draws its page: the view or table, and the name of the field. */
const OF_SERVICE: Record<string, string> = {
  metrics_1min: "metrics1min",
  metrics_5min: "metrics5min",
  metrics_1hour: "metrics1hour",
  endpoint_metrics_5min: "endpointMetrics5min",
  performance_trend: "performanceTrend",
  alerts: "alerts",
};

/** Tables that people edit by mutations, and their columns that the database fills itself. Every other table is read only. */
const EDITABLE: Record<string, string> = {
  alert_rules: "version created_at updated_at last_error failing_since",
  silences: "created_by created_at",
};

/** Single rows by their key, for what one asks for by name. */
const SINGLE = ["services", "alert_rules", "alerts"];

/** Functions that are not for clients: the worker calls them. */
const NOT_FOR_CLIENTS = ["evaluate_alert_rules"];

/** What the answer of a mutation is called, where it is a function. */
const RESULTS: Record<string, string> = { acknowledge_alert: "alert", resolve_alert: "alert", archive: "tiers" };

/** Columns without an index that lists are filtered by all the same; `since` and `until` keep that cheap. */
const FILTERS: Record<string, string> = {
  events: "service endpoint level status_code request_id trace_id user_id",
  alerts: "rule_id service severity status",
  alert_history: "status",
  alert_rules: "service severity enabled",
  rejected_events: "reason",
};

/** The same for order, in tables that stay small. */
const ORDERS: Record<string, string> = {
  alerts: "service severity status",
  alert_rules: "name service severity updated_at",
  retention: "keep",
  services: "last_seen",
};

type Kind = PgSmartTagRule["kind"];
type Tags = Record<string, string | string[] | boolean>;

const words = (text: string) => text.split(" ").filter(Boolean);
const tables = (...lists: Record<string, string>[]) => [...new Set(lists.flatMap((list) => Object.keys(list)))];
const tag = (kind: Kind, name: string, tags: Tags) => ({ kind, match: `analytics.${name}`, tags }) as PgSmartTagRule;

export const ModelPlugin = pgSmartTags(
  [
    Object.entries(VIEWS).flatMap(([view, { key, notNull }]) => [
      ...(key ? [tag("class", view, { primaryKey: key })] : []),
      ...words(notNull).map((column) => tag("attribute", `${view}.${column}`, { notNull: true })),
    ]),
    Object.entries(OF_SERVICE).map(([view, fieldName]) =>
      tag("class", view, {
        // Not the other way round: there, `service` is the name.
        foreignKey: `(service) references services (service)|@foreignFieldName ${fieldName}\n@behavior -singularRelation:resource:single`,
      }),
    ),
    // What happened to an alert, inside of it. There is no foreign key: the history of a pending alert outlives it.
    tag("class", "alert_history", {
      foreignKey: [
        "(alert_id) references alerts (id)|@foreignFieldName history\n@fieldName alert",
        "(alert_id) references active_alerts (id)|@foreignFieldName history\n@behavior -singularRelation:resource:single",
      ],
    }),
    SINGLE.map((table) => tag("class", table, { behavior: "+query:resource:single" })),
    Object.entries(EDITABLE).flatMap(([table, filled]) => [
      tag("class", table, {
        behavior: `+resource:insert +resource:update +resource:delete${SINGLE.includes(table) ? " +query:resource:single" : ""}`,
      }),
      ...words(filled).map((column) =>
        tag("attribute", `${table}.${column}`, { behavior: "-attribute:insert -attribute:update" }),
      ),
    ]),
    // The alerts of a rule belong to its id.
    tag("attribute", "alert_rules.id", { behavior: "-attribute:update" }),
    NOT_FOR_CLIENTS.map((name) => tag("procedure", name, { behavior: "-*" })),
    Object.entries(RESULTS).map(([name, resultFieldName]) => tag("procedure", name, { resultFieldName })),
    tables(FILTERS, ORDERS).flatMap((table) => {
      const [filters, orders] = [words(FILTERS[table] ?? ""), words(ORDERS[table] ?? "")];
      return [...new Set([...filters, ...orders])].map((column) =>
        tag("attribute", `${table}.${column}`, {
          behavior: [filters.includes(column) && "+filterBy", orders.includes(column) && "+orderBy"]
            .filter(Boolean)
            .join(" "),
        }),
      );
    }),
  ].flat(),
);
