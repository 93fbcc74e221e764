// Names: what SQL calls a thing, GraphQL calls it too, in camel case: metrics_1min is `metrics1min`, not `metrics1Mins`. Enum
// values are upper case.

import "postgraphile";

/** Types that are not named after what they are the rows of. */
const TYPE_NAMES: Record<string, string> = {
  metrics_1min: "Metrics", // the function metrics() answers them for every resolution
  statistics: "Statistics",
};

export const NamesPlugin: GraphileConfig.Plugin = {
  name: "NamesPlugin",
  version: "1.0.0",
  inflection: {
    replace: {
      allRowsConnection: (_previous, _options, resource) =>
        resource.name.replace(/_(.)/g, (_pair: string, letter: string) => letter.toUpperCase()),
      tableType(previous, _options, codec) {
        const name = TYPE_NAMES[codec.extensions?.pg?.name ?? ""] ?? previous!(codec);
        return codec.isAnonymous ? name.replace(/Record$/, "") : name; // what a function returns as a table
      },
      // PostGraphile keeps `id` for Relay's node ids, which this API does not have.
      _attributeName: (previous, _options, details) => previous!({ ...details, skipRowId: true }),
      enumValue: (previous, _options, value, codec) => previous!(value, codec).toUpperCase(),
    },
  },
};
