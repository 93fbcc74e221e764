// What PostGraphile adds for Relay, and a dashboard has in a simpler way: `edges` beside `nodes` (`pageInfo` has the cursors that
// one pages with), and `clientMutationId`. A mutation whose input has nothing else takes no input.

import "postgraphile";
import { type GraphQLInputType, getNamedType, isInputObjectType } from "postgraphile/graphql";

const ID = "clientMutationId";

export const WithoutRelayPlugin: GraphileConfig.Plugin = {
  name: "WithoutRelayPlugin",
  version: "1.0.0",
  schema: {
    hooks: {
      GraphQLObjectType_fields(fields, _build, { scope: { isConnectionType, isMutationPayload } }) {
        if (isConnectionType) delete fields.edges;
        if (isMutationPayload) delete fields[ID];
        return fields;
      },
      GraphQLInputObjectType_fields(fields, _build, { scope: { isMutationInput } }) {
        // One without fields cannot be.
        if (isMutationInput && Object.keys(fields).length > 1) delete fields[ID];
        return fields;
      },
      GraphQLObjectType_fields_field_args(args, _build, { scope: { isRootMutation } }) {
        if (isRootMutation && args.input && hasOnlyId(args.input.type)) delete args.input;
        return args;
      },
    },
  },
};

function hasOnlyId(input: GraphQLInputType): boolean {
  const type = getNamedType(input);
  return isInputObjectType(type) && Object.keys(type.getFields()).join() === ID;
}
