// What the page of a service draws: each panel as a query of GraphQL, and as the SQL that a person would write for it.

const SERVICE = "service-03";

export type Panel = {
  name: string;
  query: string;
  /** Statements that together answer the same. */
  sql: string[];
  values?: "service" | "range" | "hour";
};

const METRICS = [
  "bucket total_requests successful_requests failed_requests error_rate latency_min latency_p50 latency_p95 latency_p99",
  "latency_max latency_mean unique_users unique_ips avg_risk_score high_risk_count",
]
  .join(" ")
  .split(" ");

export const PANELS: Panel[] = [
  {
    name: "24 h of 5-minute metrics",
    query: `query Metrics($service: String!, $since: Datetime!, $until: Datetime!) {
      metrics5min(condition: { service: $service, since: $since, until: $until }, orderBy: [BUCKET_ASC], first: 288) {
        nodes { ${METRICS.map(camelCase).join(" ")} }
      }
    }`,
    sql: [
      `select ${METRICS.join(", ")} from analytics.metrics_5min
      where service = $1 and bucket >= $2 and bucket < $3 order by bucket limit 288`,
    ],
    values: "range",
  },
  {
    name: "health of all services",
    query: `query Health {
      serviceHealth { nodes { service health totalRequests failedRequests errorRate latencyP50 latencyP95 latencyP99 lastSeen } }
    }`,
    sql: [
      `select service, health, total_requests, failed_requests, error_rate, latency_p50, latency_p95, latency_p99, last_seen
      from analytics.service_health order by service limit 100`,
    ],
  },
  {
    name: "endpoints of a service",
    query: `query Endpoints($service: String!, $since: Datetime!, $until: Datetime!) {
      endpointMetrics5min(condition: { service: $service, since: $since, until: $until }, orderBy: [LATENCY_P95_DESC], first: 50) {
        nodes { bucket endpoint totalRequests errorRate latencyP50 latencyP95 latencyP99 }
      }
    }`,
    sql: [
      `select bucket, endpoint, total_requests, error_rate, latency_p50, latency_p95, latency_p99
      from analytics.endpoint_metrics_5min where service = $1 and bucket >= $2 and bucket < $3
      order by latency_p95 desc nulls last limit 50`,
    ],
    values: "hour",
  },
  {
    name: "alerts with history",
    query: `query Alerts {
      alerts(condition: { status: ACTIVE }, first: 20) {
        nodes {
          id ruleName service severity value triggeredAt
          history(first: 10) { nodes { asOf previousStatus status reason value } }
        }
      }
    }`,
    sql: [
      `select id, rule_name, service, severity, value, triggered_at, (
        select json_agg(history) from (
          select as_of, previous_status, status, reason, value from analytics.alert_history
          where alert_id = alerts.id order by as_of desc limit 10
        ) as history
      ) as history
      from analytics.alerts where status = 'active' order by triggered_at desc, id limit 20`,
    ],
  },
  {
    name: "errors, slowest and SLA",
    query: `query Ranks($service: String!) {
      topErrorServices(first: 5) { nodes { rank service failedRequests errorRate } }
      slowestServices(first: 5) { nodes { rank service latencyP95 } }
      sla(service: $service, period: { hours: 24 }) { nodes { service availability met errorBudgetRemaining } }
    }`,
    sql: [
      "select rank, service, failed_requests, error_rate from analytics.top_error_services order by rank, service limit 5",
      "select rank, service, latency_p95 from analytics.slowest_services order by rank, service limit 5",
      "select service, availability, met, error_budget_remaining from analytics.sla($1, interval '24 hours')",
    ],
    values: "service",
  },
];

/** The values of a panel by name, in the order of its parameters; ranges are whole buckets, the open one included. */
export function valuesOf({ values }: Panel): Record<string, string> {
  const until = Math.ceil(Date.now() / 300_000) * 300_000;
  const range = (hours: number) => ({
    service: SERVICE,
    since: new Date(until - hours * 3_600_000).toISOString(),
    until: new Date(until).toISOString(),
  });
  if (values === "range") return range(24);
  if (values === "hour") return range(1);
  return values === "service" ? { service: SERVICE } : {};
}

function camelCase(column: string): string {
  return column.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
}
