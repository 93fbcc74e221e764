// Descriptions, each where it is read. They are the comments of the database; the lines "- name: text" of one are about the
// arguments of a function or the values of an enum, "- returns: text" about the answer of a mutation. What PostGraphile makes up by
// itself is said in the words of this API.

import "postgraphile";
import {
  type GraphQLEnumType,
  type GraphQLField,
  type GraphQLInputObjectType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isObjectType,
} from "postgraphile/graphql";

/** Words of PostGraphile, and ours. */
const PHRASES: [theirs: RegExp, ours: string][] = [
  [/^The root query type.*/, "What can be asked for."],
  [/^The root mutation type.*/, "What can be changed, by operators."],
  [/^The root subscription type.*/, "What can be followed as it happens."],
  [/^Get a single `(\w+)`\.$/, "One `$1` by its key; null where there is none."],
  [/^A connection to a list of `(\w+)` values\.$/, "A page of `$1` rows."],
  [/^A list of `\w+` objects\.$/, "The rows of the page."],
  [/^Information to aid in pagination\.$/, "Where the page begins and ends, and whether there are more."],
  [/^The count of .*/, "Number of rows that match, those of all pages."],
  [/^Information about pagination in a connection\.$/, "Where a page begins and ends, and whether there are more."],
  [/^When paginating forwards, are there more items\?$/, "Whether there are rows after this page."],
  [/^When paginating backwards, are there more items\?$/, "Whether there are rows before this page."],
  [/^When paginating forwards, the cursor.*/, "Cursor of the last row, for `after`; null for a page without rows."],
  [/^When paginating backwards, the cursor.*/, "Cursor of the first row, for `before`; null for a page without rows."],
  [/^Read all values .* before .*/, "Only rows before this cursor, the `startCursor` of another page."],
  [/^Read all values .* after .*/, "Only rows after this cursor, the `endCursor` of another page."],
  [/^A condition to be used in determining .*/, "Which rows; all of them unless it is given."],
  [/^A condition to be used against `(\w+)`.*/, "Which `$1` rows: those for which everything holds that is given."],
  [/^Checks for equality with the object’s `(\w+)` field\.$/, "Only rows with this `$1`."],
  [/^The method to use when ordering .*/, "Order of the rows: by the first of these, where it is equal by the next."],
  [/^Methods to use when ordering `(\w+)`\.$/, "Orders of `$1` rows. Null comes last in either direction."],
  [/^The exclusive input argument .*/, "What the mutation needs."],
  [/^All input for the create `(\w+)` mutation\.$/, "What it needs to create one `$1`."],
  [/^All input for the `(\w+)` mutation\.$/, "What `$1` needs."],
  [/^The output of our (?:\w+ )?`(\w+)` mutation\.$/, "What came of it."],
  [/^An input for mutations affecting `(\w+)`$/, "One new `$1`. What is left out gets its default."],
  [/^Represents an update to a `(\w+)`\..*/, "Changes to one `$1`. What is left out stays as it is."],
  [/^An object where the defined keys will be set .*/, "What to change."],
  [/^Creates a single `(\w+)`\.$/, "Creates one `$1`."],
  [/^Updates a single `(\w+)` .*/, "Changes one `$1`; an error where there is none."],
  [/^Deletes a single `(\w+)` .*/, "Deletes one `$1`; an error where there is none."],
  [/^A location in a connection .*/, "A place in a list, to go on from; it holds for the order that it came with."],
  [/^A signed eight-byte integer\..*/, "An integer as text, since it may be beyond 2^53."],
  [/^A point in time as described by .*/, "A point in time as in RFC 3339, answered in UTC."],
  [/^An interval of time .*/, "A length of time, the sum of its parts."],
  [/^A quantity of (\w+)\..*/, "So many $1."],
];

export const DescriptionsPlugin: GraphileConfig.Plugin = {
  name: "DescriptionsPlugin",
  version: "1.0.0",
  schema: {
    hooks: {
      // A list has the description of its view or function, not "Reads and enables pagination through a set of".
      GraphQLObjectType_fields_field(field, _build, { scope: { isPgFieldConnection, pgFieldResource } }) {
        const description = pgFieldResource?.description ?? pgFieldResource?.codec.description;
        const isTheirs = field.description?.startsWith("Reads and enables") ?? true;
        return isPgFieldConnection && description && isTheirs ? { ...field, description } : field;
      },
      finalize(schema) {
        const types = Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith("__"));
        for (const type of types) {
          reword(type);
          if (isEnumType(type)) describeValues(type);
          if (isInputObjectType(type)) for (const field of Object.values(type.getFields())) reword(field);
          if (isObjectType(type))
            for (const field of Object.values(type.getFields())) for (const it of [field, ...field.args]) reword(it);
        }
        describeRoots(schema);
        return schema;
      },
    },
  },
};

type Described = { description?: string | null | undefined };

/** One line a sentence or an item, without PostGraphile's line breaks; and its phrases replaced. */
function reword(it: Described): void {
  if (!it.description) return;
  const text = it.description.replace(/\s*\n(?!- )\s*/g, " ");
  const [theirs, ours] = PHRASES.find(([phrase]) => phrase.test(text)) ?? [];
  it.description = theirs ? text.replace(theirs, ours!) : text;
}

/** Takes the items "- name: text" out of a description. */
function takeItems(it: Described): Map<string, string> {
  const [text, ...items] = it.description?.split("\n- ") ?? [];
  if (items.length > 0) it.description = text!;
  return new Map(items.map((item) => item.split(/: (.*)/s, 2) as [string, string]));
}

function describeValues(type: GraphQLEnumType): void {
  const items = takeItems(type);
  for (const value of type.getValues()) {
    const [, column, direction] = value.name.match(/^(\w+)_(ASC|DESC)$/) ?? [];
    value.description = direction
      ? `By \`${camelCase(column!)}\`, ${direction === "ASC" ? "ascending" : "descending"}.`
      : items.get(value.value);
  }
}

function describeRoots(schema: GraphQLSchema): void {
  for (const field of fieldsOf(schema.getQueryType()!)) {
    const items = takeItems(field);
    const columns = getNamedType(field.type) as GraphQLObjectType;
    for (const arg of field.args)
      arg.description ??= get(items, arg.name) ?? columns.getFields()[arg.name]?.description;
  }
  for (const field of fieldsOf(schema.getMutationType()!)) {
    const items = takeItems(field);
    field.description = `${field.description} For operators.`;
    for (const arg of field.args)
      for (const input of Object.values((getNamedType(arg.type) as GraphQLInputObjectType).getFields()))
        input.description ??= get(items, input.name);
    for (const answer of fieldsOf(getNamedType(field.type) as GraphQLObjectType))
      answer.description ??= items.get("returns");
  }
}

/** An item is called as SQL calls it. */
function get(items: Map<string, string>, name: string): string | undefined {
  for (const [key, text] of items) if (camelCase(key) === name) return text;
  return undefined;
}

function fieldsOf(type: GraphQLObjectType): GraphQLField<unknown, unknown>[] {
  return Object.values(type.getFields());
}

function camelCase(name: string): string {
  return name.toLowerCase().replace(/_(.)/g, (_pair, letter: string) => letter.toUpperCase());
}
