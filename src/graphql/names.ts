// Names: what SQL calls a thing, GraphQL calls it too, in camel case: metrics_1min is `metrics1min`, not `metrics1Mins`. Enum
// values are upper case.

import "postgraphile";

/** The function metrics() answers rows of metrics_1min for every resolution; so their type is not named after a minute. */
const TYPE_NAMES: Record<string, string> = { metrics_1min: "Metrics" };

export const NamesPlugin: GraphileConfig.Plugin = {
  name: "NamesPlugin",
  version: "1.0.0",
  inflection: {
    replace: {
      allRowsConnection: (_previous, _options, resource) =>
        resource.name.replace(/_(.)/g, (_pair: string, letter: string) => letter.toUpperCase()),
      tableType: (previous, _options, codec) => TYPE_NAMES[codec.extensions?.pg?.name ?? ""] ?? previous!(codec),
      enumValue: (previous, _options, value, codec) => previous!(value, codec).toUpperCase(),
    },
  },
};
