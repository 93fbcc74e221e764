// The figures that README quotes: which figure of which benchmark, and what stands beside it.

type Line = { what: string; benchmark: string; name: string; yardstick?: { what: string; name: string } };

export const SUMMARY: Line[] = [
  {
    what: "Kafka to hypertable, each event exactly once, one ingester, events/s",
    benchmark: "ingest",
    name: "Kafka to hypertable, events/s",
    yardstick: { what: "`psql \\copy` of the same rows", name: "psql \\copy of the same rows, text, events/s" },
  },
  {
    what: "Refresh of a minute with 100 000 events, 10 s level, ms",
    benchmark: "rollups",
    name: "refresh of a minute with 100000 events, level 10s, ms",
  },
  {
    what: "Evaluation of 10 000 rules on 100 services, ms",
    benchmark: "rules",
    name: "10000 rules x 100 services, median ms",
    yardstick: { what: "of 1 rule", name: "1 rules x 100 services, median ms" },
  },
  {
    what: "Event on Kafka to alert message on Kafka, beside 10 000 events/s, p99, ms",
    benchmark: "latency",
    name: "event to message beside 10000 events/s, p99, ms",
    yardstick: { what: "median", name: "event to message beside 10000 events/s, median, ms" },
  },
  {
    what: "GraphQL: a day of 5-minute metrics of a service, p99, ms : the same SQL through `pg` (ratio)",
    benchmark: "graphql",
    name: "24 h of 5-minute metrics, 1 client: p99, ms",
  },
  {
    what: "Bytes an event in the columnstore",
    benchmark: "growth",
    name: "bytes an event, columnstore",
    yardstick: { what: "as JSON", name: "bytes an event, JSON" },
  },
];
