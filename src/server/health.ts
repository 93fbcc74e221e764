// GET /healthz: the process is up. GET /readyz: it can do its work, with each check; ?only=database,migrations asks for some.

import type { ServerResponse } from "node:http";
import { log } from "../log.ts";
import type { Check, Checks } from "./checks.ts";
import { json, text } from "./respond.ts";

export function healthz(response: ServerResponse): void {
  text(response, 200, "ok\n");
}

export async function readyz(
  response: ServerResponse,
  query: URLSearchParams,
  checks: Checks,
  { stopping, production }: { stopping: boolean; production: boolean },
): Promise<void> {
  const names = Object.keys(checks) as (keyof Checks)[];
  const asked = query.get("only")?.split(",") ?? names;
  const unknown = asked.find((name) => !names.includes(name as keyof Checks));
  if (unknown !== undefined)
    return json(response, 400, { error: `there is no check "${unknown}": use ${names.join(", ")}` });

  const answers = await Promise.all(
    names
      .filter((name) => asked.includes(name))
      .map(async (name): Promise<[string, Check]> => [name, await checks[name]()]),
  );
  if (production)
    // What is wrong names hosts and files: that is for the log.
    for (const [name, check] of answers)
      if (check.detail !== undefined) {
        log.warn("not ready", { check: name, detail: check.detail });
        delete check.detail;
      }
  const ready = !stopping && answers.every(([, { ok }]) => ok);
  json(response, ready ? 200 : 503, {
    status: stopping ? "stopping" : ready ? "ready" : "not ready",
    checks: Object.fromEntries(answers),
  });
}
