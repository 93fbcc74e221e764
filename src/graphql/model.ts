// What the SQL catalog cannot say about the model: keys of views, columns of views that are never NULL, relations, and what may be
// written. Everything else comes from the catalog, descriptions from `comment on`.

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
  // types, but the same goes for their columns
  alert_preview: { notNull: "service status reason started_at" },
  alert_statistics: { notNull: "severity total pending active acknowledged resolved triggered" },
  archived_tier: { notNull: "tier compressed_chunks dropped_chunks deleted_rows" },
  metrics_bucket: { notNull: `bucket service ${BUCKETS}` },
  service_level: {
    notNull: "service total_requests failed_requests availability objective met error_budget error_budget_remaining",
  },
  service_metrics: { notNull: `service error_rate ${BUCKETS}` },
  statistics: {
    notNull:
      "events_stored events_last_minute events_per_second services rejected_last_hour late_minutes rules_enabled " +
      "rules_failing alerts_pending alerts_firing messages_waiting events_bytes database_bytes",
  },
};

/** Lists inside of a service, so that one request draws its page: the view or table, the name of the field, and what it is. */
const OF_SERVICE: [view: string, fieldName: string, description: string][] = [
  ["metrics_1min", "metrics1min", "Its metrics in buckets of 1 minute, up to the last committed event."],
  ["metrics_5min", "metrics5min", "Its metrics in buckets of 5 minutes, up to the last committed event."],
  ["metrics_1hour", "metrics1hour", "Its metrics in buckets of 1 hour, up to the last committed event."],
  [
    "endpoint_metrics_5min",
    "endpointMetrics5min",
    "Metrics of each of its endpoints in buckets of 5 minutes, up to the last committed event.",
  ],
  [
    "performance_trend",
    "performanceTrend",
    "Its metrics of the last 24 hours in buckets of 5 minutes, with the change against the bucket before.",
  ],
  ["alerts", "alerts", "Its alerts, those that are over included."],
];

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

type Kind = PgSmartTagRule["kind"];
type Tags = Record<string, string | string[] | boolean>;

const words = (text: string) => text.split(" ").filter(Boolean);
const tag = (kind: Kind, name: string, tags: Tags) => ({ kind, match: `analytics.${name}`, tags }) as PgSmartTagRule;

export const ModelPlugin = pgSmartTags(
  [
    Object.entries(VIEWS).flatMap(([view, { key, notNull }]) => [
      ...(key ? [tag("class", view, { primaryKey: key })] : []),
      ...words(notNull).map((column) => tag("attribute", `${view}.${column}`, { notNull: true })),
    ]),
    OF_SERVICE.map(([view, fieldName, description]) =>
      tag("class", view, {
        // Not the other way round: there, `service` is the name.
        foreignKey: [
          `(service) references services (service)|@foreignFieldName ${fieldName}`,
          `@backwardDescription ${description}`,
          "@behavior -singularRelation:resource:single",
        ].join("\n"),
      }),
    ),
    // What happened to an alert, inside of it. There is no foreign key: the history of a pending alert outlives it.
    tag("class", "alert_history", {
      foreignKey: [
        [
          "(alert_id) references alerts (id)|@foreignFieldName history",
          "@backwardDescription Its changes of state or reason.",
          "@fieldName alert",
          "@forwardDescription The alert as it is by now; null for a pending one that is over without having fired.",
        ].join("\n"),
        [
          "(alert_id) references active_alerts (id)|@foreignFieldName history",
          "@backwardDescription Its changes of state or reason.",
          "@behavior -singularRelation:resource:single",
        ].join("\n"),
      ],
    }),
    tag("constraint", "silences.silences_rule_id_fkey", {
      foreignFieldName: "silences",
      backwardDescription: "Silences that name this rule.",
      forwardDescription: "The rule that it mutes; null: every rule.",
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
  ].flat(),
);
