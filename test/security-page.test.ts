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
import { REQUEST_TIMEOUT_MS } from "../src/server/listen.ts";
import { SIZE } from "../src/server/pool.ts";
import { WAITING } from "../src/server/turns.ts";

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
