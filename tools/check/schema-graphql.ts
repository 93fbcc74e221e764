// schema.graphql: the API as clients see it, for reading and for seeing in a review what changes for them.

import "../../src/graphql/environment.ts";
import { lexicographicSortSchema, printSchema } from "graphql";
import { makeSchema } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import preset from "../../graphile.config.ts";
import { INTROSPECTION_SETTINGS } from "../../src/graphql/session.ts";

/** The API that a migrated database has, the text of schema.graphql. */
export async function graphqlSchema(databaseUrl: string): Promise<string> {
  const service = makePgService({
    connectionString: databaseUrl,
    schemas: ["analytics"],
    pgSettingsForIntrospection: INTROSPECTION_SETTINGS,
  });
  try {
    const { schema } = await makeSchema({ extends: [preset], pgServices: [service] });
    return `${printSchema(lexicographicSortSchema(schema))}\n`;
  } finally {
    await service.release?.();
  }
}
