// With GRAPHQL_INTROSPECTION=off nobody can ask for the schema, and errors do not guess at names of it.

import "postgraphile/grafserv";
import { NoSchemaIntrospectionCustomRule, type ValidationRule } from "postgraphile/graphql";

export const NoIntrospectionPlugin: GraphileConfig.Plugin = {
  name: "NoIntrospectionPlugin",
  version: "1.0.0",
  grafserv: {
    middleware: {
      setPreset(next, event) {
        event.validationRules = [...event.validationRules.map(withoutGuesses), NoSchemaIntrospectionCustomRule];
        return next();
      },
    },
  },
};

/** A rule of validation that suggests nothing. `validate` has an option for it, which grafserv does not hand on. */
function withoutGuesses(rule: ValidationRule): ValidationRule {
  return (context) => rule(Object.create(context, { hideSuggestions: { value: true } }));
}

/** The message of an error in variables, which graphql always ends with the names that come close. */
export function withoutSuggestions(message: string): string {
  return message.replace(/ Did you mean [\s\S]*\?$/, "");
}
