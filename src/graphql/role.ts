import "postgraphile";

/** The database role that a request has, from its context; undefined for who has none of its own. */
export function requestRole(context: Grafast.Context): string | undefined {
  const settings = context.pgSettings as Record<string, string | undefined> | null | undefined;
  return settings?.role;
}
