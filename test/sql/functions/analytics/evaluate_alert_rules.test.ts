// What the evaluation does beside the timing, which the oracle test holds to Prometheus's.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { connect } from "../../../../src/db.ts";
import { type TestDatabase, testDatabase, testServers } from "../../../setup/services.ts";
import { ago, insertEvents } from "../../events.ts";
import { evaluate, history, insertRules, installSignal, messages, resetAlerts } from "../../signal.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
  await installSignal(db.sql);
});
afterAll(() => db.drop());
beforeEach(() => resetAlerts(db.sql));

/** Seconds after a fixed moment. */
const second = (n: number) => new Date(Date.parse("2026-01-01T00:00:00Z") + n * 1000);
const openAlerts = () => db.sql`select * from analytics.alerts where status <> 'resolved' order by rule_id, service`;

describe("a transition", () => {
  test("without a pending period fires in the same evaluation: alert, history, message and job", async () => {
    const { sql } = db;
    await insertRules(sql, { id: "too_high", threshold: 5 });
    expect(await evaluate(sql, second(1), { web: 7, shop: 3 })).toBe(1);

    expect(await sql`select * from analytics.active_alerts`).toMatchObject([
      { rule_id: "too_high", service: "web", status: "active", value: 7, triggered_at: second(1), silenced: false },
    ]);
    expect(await sql`select * from analytics.alert_history`).toMatchObject([
      { previous_status: null, status: "active", reason: "breach", value: 7, rule_version: 1, as_of: second(1) },
    ]);
    expect(await messages(sql)).toEqual(["triggered too_high:web"]);
    expect(await sql`select task_identifier, key from graphile_worker.jobs`).toEqual([
      { task_identifier: "publish_alert", key: null },
    ]);
  });

  test("sends the message of the contract", async () => {
    const { sql } = db;
    await insertRules(sql, { id: "too_high", name: "Too high", threshold: 5, severity: "critical" });
    await evaluate(sql, second(1), { web: 7.25 });
    await evaluate(sql, second(2), { web: 1 });
    const [triggered, resolved] = await sql`select key, message::json from internal.alert_messages order by id`;
    const [alert] = await sql`select id from analytics.alerts`;
    expect(triggered).toEqual({
      key: "too_high:web",
      message: {
        event_id: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
        event: "triggered",
        alert_id: Number(alert?.id),
        rule_id: "too_high",
        rule_name: "Too high",
        service: "web",
        severity: "critical",
        metric: "signal",
        operator: ">",
        threshold: 5,
        value: 7.25,
        message: "Triggered: Too high on web: signal over 60 s is 7.25, alert when > 5",
        triggered_at: "2026-01-01T00:00:01+00:00",
        resolved_at: null,
        evaluated_at: "2026-01-01T00:00:01+00:00",
      },
    });
    expect(resolved?.message).toMatchObject({
      event: "resolved",
      value: 1,
      triggered_at: "2026-01-01T00:00:01+00:00",
      resolved_at: "2026-01-01T00:00:02+00:00",
    });
    expect(resolved?.message.event_id).not.toBe(triggered?.message.event_id);
  });

  test("has the same event_id whenever and wherever the same history is evaluated", async () => {
    const run = async () => {
      await resetAlerts(db.sql);
      await insertRules(db.sql, { id: "rule" });
      await evaluate(db.sql, second(1), { web: 1 });
      await evaluate(db.sql, second(2), { web: 0 });
      await evaluate(db.sql, second(3), { web: 1 });
      const rows = await db.sql`select message::jsonb ->> 'event_id' as id from internal.alert_messages order by id`;
      return rows.map(({ id }) => id).sort();
    };
    const first = await run();
    expect(new Set(first).size).toBe(3);
    expect(await run()).toEqual(first);
  });

  test("records how far the evaluation could see into what was ingested", async () => {
    const { sql } = db;
    await sql`
      insert into internal.ingest_offsets (topic, partition, next_offset, updated_at) values ('t', 0, 1, ${second(-5)})`;
    await insertRules(sql, {});
    await evaluate(sql, second(1), { web: 1 });
    expect(await sql`select watermark from analytics.alert_history`).toEqual([{ watermark: second(-5) }]);
    await sql`delete from internal.ingest_offsets`;
  });
});

describe("an evaluation", () => {
  test("happens once for a moment, and never for an earlier one", async () => {
    const { sql } = db;
    await insertRules(sql, {});
    expect(await evaluate(sql, second(5), { web: 1 })).toBe(1);
    expect(await evaluate(sql, second(5))).toBeNull();
    expect(await evaluate(sql, second(4))).toBeNull();
    expect(await history(sql)).toEqual(["web: none > active (breach)"]);
  });

  test("without changes writes nothing but its own moment", async () => {
    const { sql } = db;
    await insertRules(sql, {}, { id: "slow", pending_period: "1 min" });
    await evaluate(sql, second(1), { web: 1 });
    const before = await sql`select id, xmin from analytics.alerts order by id`;
    expect(await evaluate(sql, second(2), { web: 1 })).toBe(0);
    expect(await sql`select id, xmin from analytics.alerts order by id`).toEqual(before);
    expect(await sql`select count(*)::int from analytics.alert_history`).toEqual([{ count: 2 }]);
  });

  test("renews the value of an alert that goes on, every 10 s", async () => {
    const { sql } = db;
    await insertRules(sql, {});
    for (const [at, value] of [
      [1, 1],
      [5, 2],
      [11, 3],
    ] as const)
      await evaluate(sql, second(at), { web: value });
    expect(await openAlerts()).toMatchObject([{ value: 3, evaluated_at: second(11), changed_at: second(1) }]);
  });

  test("knows the six operators, also at the threshold itself", async () => {
    const { sql } = db;
    const values = { a: -1, b: 0, c: 1 };
    const expected = { ">": ["c"], ">=": ["b", "c"], "<": ["a"], "<=": ["a", "b"], "==": ["b"], "!=": ["a", "c"] };
    for (const [index, operator] of Object.keys(expected).entries()) {
      await insertRules(sql, { id: `all-${index}`, name: operator, operator });
      for (const service of Object.keys(values))
        await insertRules(sql, { id: `${service}-${index}`, name: operator, operator, service });
    }
    await evaluate(sql, second(1), values);
    for (const [operator, services] of Object.entries(expected)) {
      const of = (all: boolean) => sql`
        select service from analytics.alerts where rule_name = ${operator} and starts_with(rule_id, 'all') = ${all} order by service`;
      expect(
        (await of(true)).map(({ service }) => service),
        `${operator} for every service`,
      ).toEqual(services);
      expect(
        (await of(false)).map(({ service }) => service),
        `${operator} for one service`,
      ).toEqual(services);
    }
  });

  test("does not wait for somebody who is changing a rule, and goes on with the others", async (context) => {
    if (testServers().database === "embedded")
      context.skip("the embedded server has one session: transactions do not overlap");
    const { sql } = db;
    await insertRules(sql, { id: "edited" }, { id: "other" });
    await evaluate(sql, second(1), { web: 1 });
    const editor = connect(db.url, "stacklens test, an editor", 1);
    try {
      await editor.begin(async (tx) => {
        await tx`update analytics.alert_rules set threshold = 9 where id = 'edited'`;
        expect(await evaluate(sql, second(2), { web: 0 })).toBe(1);
        expect(await openAlerts()).toMatchObject([{ rule_id: "edited", status: "active" }]);
      });
    } finally {
      await editor.end();
    }
    expect((await history(sql)).sort()).toEqual([
      "web: active > resolved (clean)",
      "web: active > resolved (rule_changed)",
      "web: none > active (breach)",
      "web: none > active (breach)",
    ]);
  });

  test("leaves when another one is under way", async (context) => {
    if (testServers().database === "embedded")
      context.skip("the embedded server has one session: evaluations do not overlap");
    const { sql } = db;
    await insertRules(sql, {});
    const other = connect(db.url, "stacklens test, another worker", 1);
    try {
      await other.begin(async (tx) => {
        await tx`select analytics.evaluate_alert_rules(as_of => ${second(1)})`;
        expect(await evaluate(sql, second(2), { web: 1 })).toBeNull();
      });
    } finally {
      await other.end();
    }
    expect(await evaluate(sql, second(2))).toBe(1);
  });

  test("ends an alert of a rule that was changed or deleted while it was evaluated", async () => {
    const { sql } = db;
    await insertRules(sql, { id: "changed" }, { id: "deleted" }, { id: "disabled" });
    await evaluate(sql, second(1), { web: 1 });
    // as if their triggers had come too early to see the alerts
    await sql.begin(async (tx) => {
      await tx`set local session_replication_role = replica`;
      await tx`update analytics.alert_rules set version = 2 where id = 'changed'`;
      await tx`update analytics.alert_rules set enabled = false where id = 'disabled'`;
      await tx`delete from analytics.alert_rules where id = 'deleted'`;
    });
    await evaluate(sql, second(2), { web: 1 });
    expect(await sql`select rule_id, reason from analytics.alerts order by rule_id`).toEqual([
      { rule_id: "changed", reason: "rule_changed" },
      { rule_id: "deleted", reason: "rule_deleted" },
      { rule_id: "disabled", reason: "rule_disabled" },
    ]);
  });
});

describe("missing data", () => {
  test("keep: the state freezes and both clocks stand still", async () => {
    const { sql } = db;
    await insertRules(sql, { pending_period: "4 s", keep_firing_for: "4 s" });
    await evaluate(sql, second(0), { web: 1 });
    await evaluate(sql, second(2)); // 2 s of breaching are known
    await evaluate(sql, second(60));
    expect(await openAlerts()).toMatchObject([{ status: "pending", reason: "no_data", frozen_at: second(2) }]);
    await evaluate(sql, second(61), { web: 1 }); // still 2 s
    expect(await openAlerts()).toMatchObject([{ status: "pending", reason: "breach", breaching_since: second(59) }]);
    await evaluate(sql, second(63), { web: 1 });
    expect(await openAlerts()).toMatchObject([{ status: "active", started_at: second(0), triggered_at: second(63) }]);

    await evaluate(sql, second(64), { web: 0 });
    await evaluate(sql, second(65));
    await evaluate(sql, second(100), { web: 0 });
    expect(await openAlerts()).toMatchObject([{ status: "active", reason: "keep_firing" }]);
    await evaluate(sql, second(103), { web: 0 });
    expect(await openAlerts()).toEqual([]);
    expect(await messages(sql)).toEqual(["triggered rule:web", "resolved rule:web"]);
  });

  test("ok: it is clean", async () => {
    await insertRules(db.sql, { on_no_data: "ok" });
    await evaluate(db.sql, second(1), { web: 1 });
    await evaluate(db.sql, second(2));
    expect(await history(db.sql)).toEqual(["web: none > active (breach)", "web: active > resolved (no_data)"]);
  });

  test("alert: it breaches, for known services and for one that the rule names", async () => {
    const { sql } = db;
    await sql`insert into analytics.services values ('known', ${second(-60)}, ${second(-1)}), ('old', ${second(-200_000)}, ${second(-90_000)})`;
    await insertRules(
      sql,
      { id: "all", on_no_data: "alert" },
      { id: "one", service: "never-seen", on_no_data: "alert" },
    );
    await evaluate(sql, second(1));
    expect(await openAlerts()).toMatchObject([
      { rule_id: "all", service: "known", reason: "no_data", value: null },
      { rule_id: "one", service: "never-seen", reason: "no_data", value: null },
    ]);
    const [{ message }] = (await sql`select message from analytics.active_alerts where rule_id = 'all'`) as [
      { message: string },
    ];
    expect(message).toBe("all on known: signal over 60 s is unknown for lack of data, alert when > 0");
    await evaluate(sql, second(2), { known: 0, "never-seen": 0 });
    expect(await openAlerts()).toEqual([]);
  });

  test("NULL and NaN are no data", async () => {
    await insertRules(db.sql, {});
    await evaluate(db.sql, second(1), { web: 1, shop: 1 });
    await evaluate(db.sql, second(2), { web: null, shop: Number.NaN });
    expect(await openAlerts()).toMatchObject([
      { reason: "no_data", value: 1 },
      { reason: "no_data", value: 1 },
    ]);
  });

  test("of a service that nobody has heard of for a day ends the alert", async () => {
    await insertRules(db.sql, {}, { id: "named", service: "web" });
    await evaluate(db.sql, second(1), { web: 1 });
    await evaluate(db.sql, second(2));
    await evaluate(db.sql, second(86_401));
    expect(await openAlerts()).toHaveLength(2);
    await evaluate(db.sql, second(86_402));
    expect(await openAlerts()).toMatchObject([{ rule_id: "named", status: "active", reason: "no_data" }]);
    expect(await messages(db.sql)).toContain("resolved rule:web");
  });
});

describe("built-in metrics", () => {
  const now = new Date();
  const METRICS = [
    "error_rate",
    "error_count",
    "total_requests",
    "throughput",
    "latency_p50",
    "latency_p95",
    "latency_p99",
    "latency_mean",
    "latency_max",
    "avg_risk_score",
    "high_risk_count",
    "unique_users",
  ];

  test("say of every service and lookback what internal.window_metrics says", async () => {
    const { sql } = db;
    const events = Array.from({ length: 3_000 }, (_, i) => ({
      time: ago(now, ((i * 7919) % 90_000) / 100),
      service: `service-${i % 5}`,
      level: i % 11 === 0 ? ("error" as const) : ("info" as const),
      ...(i % 7 !== 0 && { latency_ms: 1.5 + ((i * 31) % 900) }),
      ...(i % 3 === 0 && { user_id: `user-${i % 40}`, business_risk_score: (i % 100) / 100 }),
    }));
    await insertEvents(sql, events);
    const lookbacks = ["3 s", "17 s", "30 s", "60 s", "300 s", "601 s", "890 s"];
    await insertRules(
      sql,
      ...lookbacks.flatMap((lookback, i) => METRICS.map((metric) => ({ id: `${metric}-${i}`, metric, lookback }))),
    );
    const disagreeing = () => sql`
      with measured as materialized (
        select lookback, window_metrics.*
        from unnest(${lookbacks}::interval[]) as lookback
        cross join lateral internal.window_metrics(${now}::timestamptz - lookback, ${now})
      )
      select sample.*, expected.value as expected
      from internal.builtin_metric_samples(${now}) as sample
      left join measured on measured.lookback = sample.lookback and measured.service = sample.service
      cross join lateral (
        select (case sample.metric
          when 'error_count' then to_jsonb(failed_requests)
          when 'throughput' then to_jsonb(total_requests / extract(epoch from sample.lookback))
          else to_jsonb(measured) -> sample.metric
        end #>> '{}')::double precision as value
      ) as expected
      where abs(sample.value - expected.value) > 1e-9 * abs(expected.value)
        or (sample.value is null) <> (expected.value is null) and coalesce(sample.value, 1) <> 0`;
    const [{ samples }] = (await sql`
      select count(*)::int as samples from internal.builtin_metric_samples(${now}) where value is not null`) as [
      { samples: number },
    ];
    expect(samples).toBeGreaterThan(300);
    expect(await disagreeing(), "before the roll-ups are refreshed").toEqual([]);
    await sql`call internal.refresh_rollups()`;
    expect(await disagreeing(), "after it").toEqual([]);
    await sql`truncate analytics.events`;
  });

  test("a percentile that no rule can breach is not computed; one of an open alert is, to its end", async () => {
    const { sql } = db;
    const later = ago(now, -3600);
    await insertRules(
      sql,
      { id: "near", metric: "latency_p50", threshold: 50, service: "a" },
      { id: "far", metric: "latency_p95", threshold: 5_000, lookback: "30 s" },
      { id: "below", metric: "latency_p95", operator: "<", threshold: 1, lookback: "20 s" },
    );
    const latencies = (service: string, at: number, ...values: number[]) =>
      insertEvents(
        sql,
        values.map((latency_ms) => ({ time: ago(later, at), service, latency_ms })),
      );
    await latencies("a", 1, 60, 60, 90);
    const samples = async (at: Date) => {
      const rows = await sql`
        select metric || ' over ' || extract(epoch from lookback)::int as name, value
        from internal.builtin_metric_samples(${at}) where service = 'a'`;
      return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
    };
    const within2percent = (value: number) => expect.closeTo(value, -Math.log10(value * 0.04));
    expect(await samples(later)).toEqual({
      "latency_p50 over 60": within2percent(60),
      "latency_p95 over 30": 90, // the maximum instead, since it is below the threshold
      "latency_p95 over 20": within2percent(90),
    });
    await evaluate(sql, later);
    expect(await openAlerts()).toMatchObject([{ rule_id: "near", value: within2percent(60) }]);

    // a minute later its maximum is below the threshold, too
    await latencies("a", -70, 10, 10, 40);
    await evaluate(sql, ago(later, -71));
    expect(await sql`select status, reason, value from analytics.alerts`).toEqual([
      { status: "resolved", reason: "clean", value: within2percent(10) },
    ]);
  });

  test("a silent service has counts of 0 and no rates; one that is not known has nothing", async () => {
    const { sql } = db;
    await sql`
      insert into analytics.services (service, first_seen, last_seen, known_since)
      values
        ('silent', ${ago(now, 3600)}, ${ago(now, 1800)}, ${ago(now, 3600)}),
        ('gone', ${ago(now, 200_000)}, ${ago(now, 90_000)}, ${ago(now, 200_000)})`;
    await insertRules(sql, ...METRICS.map((metric) => ({ id: metric, metric, operator: "<=" })), {
      id: "named",
      service: "never-seen",
      metric: "total_requests",
      operator: "<",
      threshold: 1,
    });
    await evaluate(sql, now);
    expect((await openAlerts()).map(({ rule_id, service }) => `${rule_id} ${service}`)).toEqual([
      "error_count silent",
      "high_risk_count silent",
      "named never-seen",
      "throughput silent",
      "total_requests silent",
      "unique_users silent",
    ]);
  });

  test("too few is said of a service once it has been known for the whole lookback, too many at once", async () => {
    const { sql } = db;
    const later = ago(now, -14_400); // out of reach of the events of the other tests
    await insertRules(
      sql,
      { id: "too_few", metric: "total_requests", operator: "<", threshold: 10, lookback: "5 min" },
      { id: "odd", metric: "total_requests", operator: "!=", threshold: 10, lookback: "5 min" },
      { id: "too_many", metric: "error_count", operator: ">", threshold: 1, lookback: "5 min" },
      { id: "rate", metric: "error_rate", operator: "!=", threshold: 0, lookback: "5 min" },
      { id: "named", metric: "total_requests", operator: "<", threshold: 10, lookback: "5 min", service: "new" },
    );
    // a log of the last hour, whose first lines are read at `later`
    await insertEvents(
      sql,
      [3600, 3599, 20, 10].map((age) => ({ time: ago(later, age), service: "new", level: "error" as const })),
    );
    await sql`update analytics.services set known_since = ${later} where service = 'new'`;
    await sql`call internal.refresh_rollups()`;
    const firing = async (seconds: number) => {
      await evaluate(sql, ago(later, -seconds));
      return (await openAlerts()).filter(({ service }) => service === "new").map(({ rule_id }) => rule_id);
    };
    expect(await firing(1)).toEqual(["named", "rate", "too_many"]);
    expect(await firing(250)).toEqual(["named", "rate", "too_many"]);
    expect(await firing(300)).toEqual(["named", "odd", "rate", "too_few"]);
  });

  test("with fewer than min_requests, rates are no data, counts are counts", async () => {
    const { sql } = db;
    const later = ago(now, -7200); // out of reach of the events of the other tests
    const base = { min_requests: 10, threshold: 1 };
    await insertRules(
      sql,
      { id: "rate", metric: "error_rate", ...base },
      { id: "count", metric: "error_count", ...base },
      { id: "named", metric: "latency_max", service: "web", ...base },
    );
    const event = { level: "error", latency_ms: 9 } as const;
    await insertEvents(
      sql,
      Array.from({ length: 9 }, (_, i) => ({ time: ago(later, i + 1), ...event })),
    );
    await evaluate(sql, later);
    expect((await openAlerts()).map(({ rule_id }) => rule_id)).toEqual(["count"]);
    await insertEvents(sql, [{ time: ago(later, 1), ...event }]);
    await evaluate(sql, ago(later, -0.001));
    expect((await openAlerts()).map(({ rule_id }) => rule_id)).toEqual(["count", "named", "rate"]);
    await sql`truncate analytics.events`;
  });

  test("are all in the registry, and their names cannot be taken over", async () => {
    const { sql } = db;
    const names = async () =>
      (await sql`select name from internal.alert_metrics() where builtin order by name`).map(({ name }) => name);
    expect(await names()).toEqual([...METRICS].sort());
    await sql.unsafe(`
      create function alert_metrics.error_rate(lookback interval) returns table (service text, value double precision)
      language sql as $$ select 'fake', 100::double precision $$`);
    await insertRules(sql, { metric: "error_rate" });
    await evaluate(sql, second(1));
    expect(await openAlerts()).toEqual([]);
    await sql`drop function alert_metrics.error_rate`;
  });
});

describe("a metric of a user", () => {
  const metric = (name: string, body: string) =>
    db.sql.unsafe(`
      create or replace function alert_metrics.${name}(lookback interval)
      returns table (service text, value double precision)
      language plpgsql as $$ begin ${body} end $$`);

  test("that fails freezes its rules, is recorded, and is no obstacle to the others", async () => {
    const { sql } = db;
    await metric("broken", "return query select 'web', 1 / (extract(epoch from lookback) - 60)::double precision;");
    await insertRules(sql, { id: "works" }, { id: "fails", metric: "broken", lookback: "2 min" });
    await evaluate(sql, second(1), { web: 1 });
    expect((await openAlerts()).map(({ rule_id }) => rule_id)).toEqual(["fails", "works"]);

    await metric("broken", "raise exception 'out of order';");
    await evaluate(sql, second(2), { web: 0 });
    await evaluate(sql, second(3), { web: 0 });
    expect(await openAlerts()).toMatchObject([
      { rule_id: "fails", status: "active", reason: "evaluation_failed", value: 1 / 60 },
    ]);
    const failure = () => sql`select last_error, failing_since, version from analytics.alert_rules where id = 'fails'`;
    expect(await failure()).toEqual([{ last_error: "out of order", failing_since: second(2), version: 1 }]);

    await sql`drop function alert_metrics.broken`;
    await evaluate(sql, second(4));
    expect(await failure()).toMatchObject([{ last_error: "function alert_metrics.broken(interval) does not exist" }]);

    await metric("broken", "return query select 'web', -1::double precision;");
    await evaluate(sql, second(5));
    expect(await openAlerts()).toEqual([]);
    expect(await failure()).toEqual([{ last_error: null, failing_since: null, version: 1 }]);
    const [first, second_, ...rest] = await messages(sql);
    expect([first, second_].sort()).toEqual(["triggered fails:web", "triggered works:web"]);
    expect(rest).toEqual(["resolved works:web", "resolved fails:web"]);
  });

  test("may not name a service twice, nor none", async () => {
    const { sql } = db;
    await metric("twice", "return query values ('web', 1::double precision), ('web', 2);");
    await metric("nameless", "return query values (null, 1::double precision);");
    await insertRules(sql, { id: "twice", metric: "twice" }, { id: "nameless", metric: "nameless" });
    await evaluate(sql, second(1));
    expect(await sql`select last_error from analytics.alert_rules order by id`).toEqual([
      { last_error: "it returned a row without a service" },
      { last_error: "it returned more than one row for a service" },
    ]);
    expect(await openAlerts()).toEqual([]);
  });

  test("that takes too long is ended by the statement timeout and rests for a minute; the others go on", async () => {
    const { sql } = db;
    await metric(
      "slow",
      "while clock_timestamp() < statement_timestamp() + interval '20 s' loop end loop; return query values ('web', 1::double precision);",
    );
    await insertRules(
      sql,
      { id: "slow", metric: "slow" },
      { id: "works", metric: "total_requests", operator: "<", threshold: 1, service: "web" },
    );
    const worker = connect(db.url, "stacklens test, a worker", 1, { statement_timeout: "300" });
    try {
      const began = performance.now();
      await worker`select analytics.evaluate_alert_rules(as_of => ${second(1)})`;
      expect((await openAlerts()).map(({ rule_id }) => rule_id)).toEqual(["works"]);
      expect(await sql`select last_error from analytics.alert_rules where id = 'slow'`).toEqual([
        { last_error: "it took longer than 300 ms and rests for a minute" },
      ]);
      for (let i = 2; i < 20; i++) await worker`select analytics.evaluate_alert_rules(as_of => ${second(i)})`;
      expect(performance.now() - began).toBeLessThan(5_000);
    } finally {
      await worker.end();
    }
  });
});

describe("silences", () => {
  const silence = (values: Record<string, unknown>) =>
    db.sql`insert into analytics.silences ${db.sql({ starts_at: second(0), ends_at: second(10), reason: "works", ...values })}`;

  test("mute what they match, and only that", async () => {
    await insertRules(db.sql, { id: "a", severity: "critical" }, { id: "b" });
    await silence({ rule_id: "a", service: "web" });
    await silence({ severity: "warning", service: "shop" });
    await silence({ rule_id: "b", starts_at: second(5) });
    await evaluate(db.sql, second(1), { web: 1, shop: 1 });
    expect((await messages(db.sql)).sort()).toEqual(["triggered a:shop", "triggered b:web"]);
    expect(
      await db.sql`select rule_id || ':' || service as key from analytics.active_alerts where silenced order by 1`,
    ).toEqual([{ key: "a:web" }, { key: "b:shop" }]);
  });

  test("an alert that outlives its silence is announced then, and resolved later", async () => {
    await insertRules(db.sql, {});
    await silence({});
    await evaluate(db.sql, second(1), { web: 1 });
    await evaluate(db.sql, second(9), { web: 1 });
    expect(await messages(db.sql)).toEqual([]);
    await evaluate(db.sql, second(10), { web: 1 });
    await evaluate(db.sql, second(11), { web: 1 });
    await evaluate(db.sql, second(12), { web: 0 });
    expect(await messages(db.sql)).toEqual(["triggered rule:web", "resolved rule:web"]);
    expect(await history(db.sql)).toEqual([
      "web: none > active (breach)",
      "web: active > active (silence_ended)",
      "web: active > resolved (clean)",
    ]);
  });

  test("an alert that began and ended in silence says nothing; one that was announced before says that it is over", async () => {
    await insertRules(db.sql, {});
    await silence({ service: "web" });
    await silence({ service: "shop", starts_at: second(2) });
    await evaluate(db.sql, second(1), { web: 1, shop: 1 });
    await evaluate(db.sql, second(3), { web: 0, shop: 0 });
    expect(await messages(db.sql)).toEqual(["triggered rule:shop", "resolved rule:shop"]);
  });
});
