// The statements of docs/alerts.md do what they say, in the order in which they stand there.

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "./setup/services.ts";
import { evaluate } from "./sql/signal.ts";

const page = readFileSync("docs/alerts.md", "utf8");
const statements = [...page.matchAll(/^```sql\n([\s\S]*?)^```$/gm)].map(([, sql]) => sql!);

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

test("every statement runs, and the rules it makes are evaluated without an error", async () => {
  expect(statements.length).toBeGreaterThan(6);
  for (const statement of statements) await db.sql.unsafe(statement);
  await evaluate(db.sql, new Date());
  const rules =
    await db.sql`select id, last_error from analytics.alert_rules where id in ('checkout_slow', 'password_guessing') order by id`;
  expect(rules).toEqual([
    { id: "checkout_slow", last_error: null },
    { id: "password_guessing", last_error: null },
  ]);
});

test("its table of shipped rules and its table of metrics are those of the database", async () => {
  const fresh = await testDatabase();
  try {
    const rules = await fresh.sql`
      select format('| %s | %s %s %s | %s s | %s |', id, metric, operator, threshold, extract(epoch from lookback)::int, severity) as line
      from analytics.alert_rules`;
    for (const { line } of rules) expect(page).toContain(line);
    const metrics = await fresh.sql`select name from internal.alert_metrics() where builtin`;
    const table = page.slice(page.indexOf("## Metrics"), page.indexOf("### A metric of your own"));
    for (const { name } of metrics) expect(table).toContain(name);
  } finally {
    await fresh.drop();
  }
});
