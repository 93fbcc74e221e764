// The table of rules as those who edit it meet it: the shipped ones, what is refused and how, and what an edit does to alerts.

import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { evaluate, history, insertRules, installSignal, messages, type Rule, resetAlerts } from "./signal.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

const second = (n: number) => new Date(Date.parse("2026-01-01T00:00:00Z") + n * 1000);

test("six rules are shipped", async () => {
  const rows = await db.sql`
    select id || ': ' || metric || ' ' || operator || ' ' || threshold || ' over ' || extract(epoch from lookback)::int || ' s, ' || severity as rule
    from analytics.alert_rules
    where service = '*' and enabled and version = 1 and pending_period = '0' and keep_firing_for = '0' and min_requests = 0 and on_no_data = 'keep'
    order by id`;
  expect(rows.map(({ rule }) => rule)).toEqual([
    "critical_error_rate: error_rate > 20 over 30 s, critical",
    "critical_p99_latency: latency_p99 > 1000 over 30 s, critical",
    "error_spike: error_count > 100 over 60 s, warning",
    "high_error_rate: error_rate > 5 over 60 s, warning",
    "high_p99_latency: latency_p99 > 500 over 60 s, warning",
    "low_throughput: total_requests < 10 over 300 s, info",
  ]);
  await installSignal(db.sql);
});

test.each<[string, Rule, RegExp]>([
  ["an id that is no slug", { id: "Too High" }, /id_is_a_slug/],
  [
    "an operator that is not one of the six",
    { operator: "=" },
    /invalid input value for enum analytics.alert_operator: "="/,
  ],
  ["a threshold that is infinite", { threshold: Number.POSITIVE_INFINITY }, /threshold_is_finite/],
  ["a threshold that is no number", { threshold: Number.NaN }, /threshold_is_finite/],
  ["a lookback of nothing", { lookback: "0" }, /lookback_is_at_least_1_second/],
  ["a lookback below zero", { lookback: "-1 min" }, /lookback_is_at_least_1_second/],
  [
    "a lookback over more than is kept",
    { lookback: "25 hours" },
    /lookback 25:00:00 of alert rule rule is longer than raw events are kept, 1 day/,
  ],
  ["a negative pending period", { pending_period: "-1 s" }, /pending_period_is_not_negative/],
  ["a negative keep_firing_for", { keep_firing_for: "-1 s" }, /keep_firing_for_is_not_negative/],
  ["a negative min_requests", { min_requests: -1 }, /min_requests_is_not_negative/],
  ["no name", { name: "" }, /name_has_1_to_255_characters/],
  ["no service", { service: "" }, /service_has_1_to_255_characters/],
  ["a metric that does not exist", { metric: "speed" }, /unknown metric speed of alert rule rule/],
])("%s is refused", async (_, rule, message) => {
  await expect(insertRules(db.sql, rule)).rejects.toThrow(message);
});

test("an unknown metric is answered with the known ones and where to add one", async () => {
  const error = await insertRules(db.sql, { metric: "speed" }).catch((error) => error);
  expect(error).toMatchObject({
    code: "23514",
    hint:
      "Use one of avg_risk_score, error_count, error_rate, high_risk_count, latency_max, latency_mean, latency_p50, latency_p95, " +
      "latency_p99, throughput, total_requests, unique_users, signal; or create function alert_metrics.speed(lookback interval) " +
      "returns table (service text, value double precision).",
  });
});

test("a function of another form is no metric", async () => {
  await db.sql.unsafe("create function alert_metrics.odd(lookback interval) returns integer language sql return 1");
  await expect(insertRules(db.sql, { metric: "odd" })).rejects.toThrow(
    "function alert_metrics.odd of alert rule rule does not have the form of a metric",
  );
});

test("a rule whose metric has been dropped can still be edited", async () => {
  const { sql } = db;
  await sql.unsafe(`
    create function alert_metrics.passing(lookback interval) returns table (service text, value double precision)
    language sql as $$ select 'web', 1::double precision $$`);
  await insertRules(sql, { id: "orphan", metric: "passing" });
  await sql`drop function alert_metrics.passing`;
  await sql`update analytics.alert_rules set enabled = false where id = 'orphan'`;
  expect(await sql`select version from analytics.alert_rules where id = 'orphan'`).toEqual([{ version: 2 }]);
});

test("a change counts the version and moves updated_at; none of the two can be set, and no change is none", async () => {
  const { sql } = db;
  await resetAlerts(sql);
  await insertRules(sql, {});
  const versions = () => sql`select version, updated_at > created_at as moved from analytics.alert_rules`;
  await sql`update analytics.alert_rules set threshold = threshold`;
  expect(await versions()).toEqual([{ version: 1, moved: false }]);
  await sql`update analytics.alert_rules set version = 7, created_at = now(), updated_at = '-infinity'`;
  expect(await versions()).toEqual([{ version: 1, moved: false }]);
  await sql`update analytics.alert_rules set description = 'see the handbook'`;
  expect(await versions()).toEqual([{ version: 2, moved: true }]);
});

test.each<[string, string, string]>([
  ["editing", "update analytics.alert_rules set threshold = 0.5 where id = 'rule'", "rule_changed"],
  ["disabling", "update analytics.alert_rules set enabled = false where id = 'rule'", "rule_disabled"],
  ["renaming", "update analytics.alert_rules set id = 'other' where id = 'rule'", "rule_deleted"],
  ["deleting", "delete from analytics.alert_rules where id = 'rule'", "rule_deleted"],
])("%s a rule ends its alerts, says so, and keeps the history", async (_, statement, why) => {
  const { sql } = db;
  await resetAlerts(sql);
  await insertRules(sql, { service: "web" }, { id: "bystander", service: "web" });
  await sql`update analytics.alert_rules set pending_period = '1 min' where id = 'bystander'`;
  await evaluate(sql, second(1), { web: 1 });
  const [alert] = await sql`select id from analytics.alerts where rule_id = 'rule'`;
  await sql`select analytics.acknowledge_alert(alert_id => ${alert?.id})`;

  await sql.unsafe(statement);

  expect(
    await sql`select rule_id, status, reason, resolved_at is not null as ended from analytics.alerts order by rule_id`,
  ).toEqual([
    { rule_id: "bystander", status: "pending", reason: "breach", ended: false },
    { rule_id: "rule", status: "resolved", reason: why, ended: true },
  ]);
  expect((await history(sql)).filter((line) => !line.includes("pending"))).toEqual([
    "web: none > active (breach)",
    "web: active > acknowledged (acknowledged)",
    `web: acknowledged > resolved (${why})`,
  ]);
  expect(await messages(sql)).toEqual(["triggered rule:web", "acknowledged rule:web", "resolved rule:web"]);
});

test("a pending alert of a changed rule is dropped without a message", async () => {
  const { sql } = db;
  await resetAlerts(sql);
  await insertRules(sql, { pending_period: "1 min" });
  await evaluate(sql, second(1), { web: 1 });
  await sql`update analytics.alert_rules set pending_period = '2 min'`;
  expect(await sql`select * from analytics.alerts`).toEqual([]);
  expect(await history(sql)).toEqual(["web: none > pending (breach)", "web: pending > resolved (rule_changed)"]);
  expect(await messages(sql)).toEqual([]);
});

test("after a change the rule starts anew, as a new episode", async () => {
  const { sql } = db;
  await resetAlerts(sql);
  await insertRules(sql, {});
  await evaluate(sql, second(1), { web: 1 });
  await sql`update analytics.alert_rules set severity = 'critical'`;
  await evaluate(sql, second(2), { web: 1 });
  expect(await sql`select severity, status, rule_version from analytics.alerts order by id`).toEqual([
    { severity: "warning", status: "resolved", rule_version: 1 },
    { severity: "critical", status: "active", rule_version: 2 },
  ]);
  expect(await messages(sql)).toEqual(["triggered rule:web", "resolved rule:web", "triggered rule:web"]);
});
