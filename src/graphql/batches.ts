// Many events of a subscription in one execution. GraphQL executes the selection of a subscription once for each event; a burst of
// alerts is then thousands of plans and statements. Here the same selection is executed as that of a query whose root field is
// a list, one item an event: Grafast reads the rows of all events in one statement.

import "postgraphile";
import { each, type FieldArgs, type FieldInfo, type Step } from "postgraphile/grafast";
import {
  type DocumentNode,
  type ExecutionResult,
  GraphQLError,
  type GraphQLFieldConfig,
  GraphQLList,
  GraphQLObjectType,
  GraphQLSchema,
  getNullableType,
  Kind,
  OperationTypeNode,
} from "postgraphile/graphql";

type Field = GraphQLFieldConfig<unknown, unknown>;

/** The schema in which each field of Subscription answers a list, of what it answers to each event of the root value. */
export function batchSchema(schema: GraphQLSchema): GraphQLSchema {
  const { fields, ...type } = schema.getSubscriptionType()!.toConfig();
  const query = new GraphQLObjectType({
    ...type,
    fields: Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, batchField(field)])),
  });
  return new GraphQLSchema({ ...schema.toConfig(), query, mutation: null, subscription: null, types: [] });
}

function batchField(field: Field): Field {
  const { plan } = field.extensions!.grafast!;
  return {
    ...field,
    type: new GraphQLList(getNullableType(field.type)),
    extensions: {
      grafast: {
        plan: ($events: Step<unknown[]>, args: FieldArgs, info: FieldInfo) =>
          each($events, ($event) => plan!($event, args, info)),
      },
    },
  };
}

/** The operations of a document as queries; Grafast knows a plan by its operation, so keep the answer. */
export function asQueries(document: DocumentNode): DocumentNode {
  return {
    ...document,
    definitions: document.definitions.map((definition) =>
      definition.kind === Kind.OPERATION_DEFINITION
        ? { ...definition, operation: OperationTypeNode.QUERY }
        : definition,
    ),
  };
}

/** The result for each of `count` events: its item, and the errors that are about it or about all. */
export function resultsOfEvents({ data, errors = [] }: ExecutionResult, count: number): ExecutionResult[] {
  const [name = "", items] = Object.entries(data ?? {})[0] ?? [];
  const errorsOf = Map.groupBy(errors, ({ path }) => path?.[1]);
  return Array.from({ length: count }, (_, index) => {
    const item = (items as unknown[] | undefined)?.[index];
    const own = [...(errorsOf.get(undefined) ?? []), ...(errorsOf.get(index) ?? [])];
    return { data: item == null ? null : { [name]: item }, ...(own.length > 0 && { errors: own.map(ofEvent) }) };
  });
}

/** An error at alertChanged.17.alert is one at alertChanged.alert. */
function ofEvent(error: GraphQLError): GraphQLError {
  const { message, nodes, source, positions, path, originalError, extensions } = error;
  return new GraphQLError(message, {
    nodes: nodes ?? null,
    source: source ?? null,
    positions: positions ?? null,
    path: path?.toSpliced(1, 1) ?? null,
    originalError: originalError ?? null,
    extensions,
  });
}
