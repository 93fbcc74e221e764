// Who subscribes: over a WebSocket by the connection_init, or by the header of its upgrade; over an event stream by the header.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signToken } from "../../tools/token.ts";
import { type Api, SECRET, startApi } from "../graphql/api.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { fail, onlyRule } from "./alerts.ts";
import { type Client, overEventStream, overWebSocket, until } from "./clients.ts";

let db: TestDatabase;
let api: Api;

beforeAll(async () => {
  db = await testDatabase();
  await onlyRule(db.sql);
  // Something that an operator sees and a viewer does not.
  const [columns] = await db.sql`
    select string_agg(quote_ident(attname), ', ') as names
    from pg_attribute
    where attrelid = 'analytics.alerts'::regclass and attnum > 0 and not attisdropped and attname <> 'comment'`;
  await db.sql.unsafe(`
    revoke select on analytics.alerts from stacklens_viewer;
    grant select (${columns!.names}) on analytics.alerts to stacklens_viewer;
    grant select on analytics.alerts to stacklens_operator`);
  api = await startApi(db.url);
});
afterAll(async () => {
  await api.stop();
  await db.drop();
});

const token = (role: "viewer" | "operator", seconds = 60) => signToken(SECRET, { role, subject: "ada", seconds });
const bearer = async (role: "viewer" | "operator", seconds?: number) => `Bearer ${await token(role, seconds)}`;

type Ways = [string, (authorization?: string) => Client][];
const WAYS: Ways = [
  [
    "connectionParams of a WebSocket",
    (authorization) =>
      overWebSocket(api.url, { connectionParams: authorization ? { Authorization: authorization } : {} }),
  ],
  [
    "the header of a WebSocket",
    (authorization) => overWebSocket(api.url, { headers: authorization ? { Authorization: authorization } : {} }),
  ],
  [
    "the header of an event stream",
    (authorization) => overEventStream(api.url, { headers: authorization ? { Authorization: authorization } : {} }),
  ],
];

describe.each(WAYS)("by %s", (name, over) => {
  test("rows are read with the rights of who subscribes", async () => {
    const query = `subscription { alertChanged(service: "${name}") { alert { service comment } } }`;
    const operator = over(await bearer("operator")).subscribe(query);
    const viewers = [over().subscribe(query), over(await bearer("viewer")).subscribe(query)];
    await new Promise((resolve) => setTimeout(resolve, 500));
    await fail(db.sql, name);
    await until("everybody has it", () => [operator, ...viewers].every(({ results }) => results.length === 1));
    expect(operator.results).toEqual([{ data: { alertChanged: { alert: { service: name, comment: null } } } }]);
    for (const { results } of viewers) {
      expect(results[0]!.errors).toMatchObject([{ extensions: { code: "FORBIDDEN" } }]);
      expect(results[0]!.data?.alertChanged?.alert ?? null).toBeNull();
    }
    await Promise.all([operator, ...viewers].map((it) => it.stop()));
  });

  test("a wrong token is refused", async () => {
    const subscription = over(`${await bearer("operator")}x`).subscribe("subscription { serviceHealth { service } }");
    await until("the end", () => subscription.ended() !== undefined);
    expect(subscription.results).toEqual([]);
    const { code, reason, response } = subscription.ended() as { code?: number; reason?: string; response?: Response };
    if (response) expect(response.status).toBe(401);
    else expect({ code, reason }).toEqual({ code: 4403, reason: "the token is not signed with a key of this server" });
    await subscription.stop();
  });

  test("the connection ends with its token", async () => {
    const subscription = over(await bearer("viewer", 2)).subscribe("subscription { serviceHealth { service } }");
    await until("a result", () => subscription.results.length > 0);
    await until("the end", () => subscription.ended() !== undefined);
    await subscription.stop();
  });
});
