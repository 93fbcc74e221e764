// The numbers of docs/security.md are those of the code.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import preset from "../graphile.config.ts";
import { readConfig } from "../src/config.ts";
import { BOUNDS } from "../src/graphql/bounds.ts";
import { PAGE_LIMIT, PAGE_SIZE } from "../src/graphql/paging.ts";
import { STATEMENT_TIMEOUT_MS } from "../src/graphql/session.ts";
import { QUEUE } from "../src/live/changes.ts";
import { LIVE } from "../src/live/operations.ts";
import { hostCheck } from "../src/server/hosts.ts";
import { REQUEST_TIMEOUT_MS } from "../src/server/listen.ts";
import { SIZE } from "../src/server/pool.ts";
import { WAITING } from "../src/server/turns.ts";

test("the names that it says a server on a loopback address answers to", () => {
  const page = readFileSync("docs/security.md", "utf8");
  expect(page).toContain(
    "`localhost`, `*.localhost`, 127.x.x.x and `[::1]` at any port, and to the names in `CORS_ORIGINS`",
  );
  expect(page).toContain("`HOST` is another address, with `TRUST_PROXY=on`, and with `CORS_ORIGINS=*`");
  const answersTo = (host: string, more: Partial<Parameters<typeof hostCheck>[0]> = {}) =>
    hostCheck({ host: "127.0.0.1", corsOrigins: [], trustProxy: false, ...more })({ headers: { host } }) === undefined;
  for (const host of ["localhost:1", "a.localhost:1", "127.1.2.3:1", "[::1]:1"]) expect(answersTo(host)).toBe(true);
  expect(answersTo("page.example")).toBe(false);
  expect(answersTo("page.example:1", { corsOrigins: ["https://page.example"] })).toBe(true);
  for (const more of [{ host: "0.0.0.0" }, { trustProxy: true }, { corsOrigins: ["*"] }])
    expect(answersTo("page.example", more)).toBe(true);
});

test("its table of bounds", () => {
  const page = readFileSync("docs/security.md", "utf8");
  const [, table] = /\| bound \| value \|\n\|---\|---\|\n((?:\|.*\n)+)/.exec(page)!;
  const values = table!.matchAll(/^\| .+ \| ([\d ]+?)(?: (?:bytes|s|rows))? \|$/gm);
  const { requestsPerClient } = readConfig({ DATABASE_URL: "postgres://x/x", KAFKA_BROKERS: "x:1" });
  expect([...values].map(([, value]) => Number(value!.replaceAll(" ", "")))).toEqual([
    preset.grafserv!.maxRequestLength,
    REQUEST_TIMEOUT_MS / 1000,
    BOUNDS.tokens,
    BOUNDS.depth,
    BOUNDS.roots,
    BOUNDS.objects,
    BOUNDS.aliases,
    BOUNDS.introspectionAliases,
    BOUNDS.fields,
    BOUNDS.rows,
    PAGE_SIZE,
    PAGE_LIMIT,
    STATEMENT_TIMEOUT_MS / 1000,
    requestsPerClient,
    WAITING,
    SIZE,
    LIVE.connections,
    LIVE.connectionsOfClient,
    LIVE.subscriptions,
    LIVE.messageBytes,
    QUEUE,
    LIVE.unreadBytes,
    LIVE.pingMs / 1000,
  ]);
});
