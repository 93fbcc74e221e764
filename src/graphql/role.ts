// Who asks, from the context of a request.

import "postgraphile";

/** The database role that a request has; undefined for one that has none of its own. */
export function requestRole(context: Grafast.Context): string | undefined {
  return setting(context, "role");
}

/** Who sent it, as the token says; undefined where it does not. */
export function requestSubject(context: Grafast.Context): string | undefined {
  return setting(context, "jwt.claims.sub");
}

function setting({ pgSettings }: Grafast.Context, name: string): string | undefined {
  return (pgSettings as Record<string, string | undefined> | null | undefined)?.[name] || undefined;
}
