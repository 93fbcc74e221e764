// The PostGraphile preset: which plugins make the GraphQL schema out of the SQL schema `analytics`, and its bounds. Who uses it
// (src/server.ts, tools/check) says which database: `{ extends: [preset], pgServices: [...] }`.

import "./src/graphql/environment.ts";
import "postgraphile";
import "postgraphile/grafserv";
import { PgSimplifyInflectionPreset } from "@graphile/simplify-inflection";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { AdhocQueryPlugin } from "./src/graphql/adhoc-query.ts";
import { BoundsPlugin } from "./src/graphql/bounds.ts";
import { DescriptionsPlugin } from "./src/graphql/descriptions.ts";
import { maskError } from "./src/graphql/errors.ts";
import { FiltersPlugin } from "./src/graphql/filters.ts";
import { MissingRowsPlugin } from "./src/graphql/missing-rows.ts";
import { ModelPlugin } from "./src/graphql/model.ts";
import { NamesPlugin } from "./src/graphql/names.ts";
import { NotesPlugin } from "./src/graphql/notes.ts";
import { NumbersPlugin } from "./src/graphql/numbers.ts";
import { OrderPlugin } from "./src/graphql/order.ts";
import { OutputPlugin } from "./src/graphql/output.ts";
import { PagingPlugin } from "./src/graphql/paging.ts";
import { WithoutRelayPlugin } from "./src/graphql/relay.ts";
import { session } from "./src/graphql/session.ts";
import { SharedRowsPlugin, SubscriptionsPlugin } from "./src/graphql/subscriptions.ts";

const preset: GraphileConfig.Preset = {
  extends: [PostGraphileAmberPreset, PgSimplifyInflectionPreset],
  plugins: [
    NamesPlugin,
    ModelPlugin,
    DescriptionsPlugin,
    NumbersPlugin,
    FiltersPlugin,
    OrderPlugin,
    PagingPlugin,
    WithoutRelayPlugin,
    MissingRowsPlugin,
    BoundsPlugin,
    NotesPlugin,
    OutputPlugin,
    SharedRowsPlugin,
    SubscriptionsPlugin,
    AdhocQueryPlugin,
  ],
  // Relay's node ids, and what was for its first version
  disablePlugins: ["NodePlugin", "QueryQueryPlugin", "MutationPayloadQueryPlugin", "PgMutationPayloadEdgePlugin"],
  gather: { pgStrictFunctions: true },
  schema: {
    dontSwallowErrors: true,
    pgForbidSetofFunctionsToReturnNull: true, // rows of lists are never null
    // Read only, and lists as connections; src/graphql/model.ts says what else may be done.
    defaultBehavior: "-resource:insert -resource:update -resource:delete -query:resource:single -list",
  },
  grafast: { explain: false, context: session },
  grafserv: {
    graphqlPath: "/graphql",
    graphiqlPath: "/", // the IDE
    graphiqlOnGraphQLGET: false,
    websockets: false, // ours, with bounds: src/live
    maxRequestLength: 100_000, // bytes
    outputDataAsString: true, // with OutputPlugin
    allowedRequestContentTypes: ["application/json"], // others can be sent by a form of a foreign page
    maskError,
  },
};

export default preset;
