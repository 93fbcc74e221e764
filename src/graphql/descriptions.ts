// The description of a list is the comment of its view or function, not "Reads and enables pagination through a set of".

import "postgraphile";

export const DescriptionsPlugin: GraphileConfig.Plugin = {
  name: "DescriptionsPlugin",
  version: "1.0.0",
  schema: {
    hooks: {
      GraphQLObjectType_fields_field(field, _build, { scope: { isPgFieldConnection, pgFieldResource } }) {
        const description = pgFieldResource?.description ?? pgFieldResource?.codec.description;
        return isPgFieldConnection && description ? { ...field, description } : field;
      },
    },
  },
};
