// Names: what SQL calls a thing, GraphQL calls it too, in camel case: metrics_1min is `metrics1min`, not `metrics1Mins`. Enum
// values are upper case.

import "postgraphile";

/** Types whose names are plural in English. */
const TYPE_NAMES: Record<string, string> = {
  statistics: "Statistics",
  alert_statistics: "AlertStatistics",
  service_metrics: "ServiceMetrics",
};

/** Enum values that are no names in GraphQL. */
const ENUM_VALUES: Record<string, string> = {
  "==": "EQUAL", // PostGraphile knows the other operators
  "10s": "TEN_SECONDS",
  "1min": "ONE_MINUTE",
  "5min": "FIVE_MINUTES",
  "1hour": "ONE_HOUR",
};

export const NamesPlugin: GraphileConfig.Plugin = {
  name: "NamesPlugin",
  version: "1.0.0",
  inflection: {
    replace: {
      allRowsConnection: (_previous, _options, resource) =>
        resource.name.replace(/_(.)/g, (_pair: string, letter: string) => letter.toUpperCase()),
      tableType: (previous, _options, codec) => TYPE_NAMES[codec.extensions?.pg?.name ?? ""] ?? previous!(codec),
      // PostGraphile keeps `id` for Relay's node ids, which this API does not have.
      _attributeName: (previous, _options, details) => previous!({ ...details, skipRowId: true }),
      enumValue: (previous, _options, value, codec) => ENUM_VALUES[value] ?? previous!(value, codec).toUpperCase(),
    },
  },
};
