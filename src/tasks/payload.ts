// The payload of tasks that work on what is in the database: nothing, or what cron adds.

/** Refuses a payload that somebody believed to mean something. */
export function expectNoPayload(task: string, payload: unknown): void {
  const unknown = Object.keys((payload ?? {}) as object).filter((key) => key !== "_cron");
  if (unknown.length > 0) throw new Error(`${task} takes no payload, but got ${unknown.join(", ")}`);
}
