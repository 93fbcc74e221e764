// The roles in the database: what each may do, and that every process works with its own.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../src/db.ts";
import { ensureTopics } from "../src/kafka.ts";
import { startWorker } from "../src/tasks/worker.ts";
import { migrate } from "../tools/migrate.ts";
import { startApi } from "./graphql/api.ts";
import { testTopic, whileIngesting } from "./ingest/pipeline.ts";
import { type TestDatabase, testDatabase, testServers, unique } from "./setup/services.ts";
import { consume } from "./tasks/consume.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

/** The same database for another login, which has no password. */
function as(role: string, url = db.url): string {
  const login = new URL(url);
  login.username = role;
  login.password = "";
  return login.href;
}

/** Why a login is not let in without a password; undefined when it is. */
async function refused(url: string): Promise<string | undefined> {
  const sql = connect(url, "stacklens test", 1);
  try {
    await sql`select 1`;
    return undefined;
  } catch (error) {
    if (!String((error as { code?: string }).code).startsWith("28")) throw error;
    return `the server wants a password of ${new URL(url).username}`;
  } finally {
    await sql.end();
  }
}

/** What a statement says when it runs as a role. */
async function outcome(role: string, statement: string): Promise<string> {
  const sql = await db.sql.reserve();
  try {
    await sql`begin`;
    await sql.unsafe(`set local session authorization ${role}`);
    await sql.unsafe(statement);
    return "allowed";
  } catch (error) {
    return (error as Error).message;
  } finally {
    await sql`rollback`;
    sql.release();
  }
}

describe("in the catalog", () => {
  test("nothing is for everybody, and no function of analytics is for nobody", async () => {
    expect(
      await db.sql`
        select oid::regprocedure::text as object from pg_proc
        where pronamespace in ('analytics'::regnamespace, 'internal'::regnamespace)
          and exists (select from aclexplode(coalesce(proacl, acldefault('f', proowner))) where grantee = 0)
        union all
        select oid::regclass::text from pg_class
        where relnamespace in ('analytics'::regnamespace, 'internal'::regnamespace)
          and exists (select from aclexplode(relacl) where grantee = 0)`,
    ).toEqual([]);
    expect(
      await db.sql`
        select oid::regprocedure::text as function from pg_proc
        where pronamespace = 'analytics'::regnamespace
          and not exists (select from aclexplode(proacl) where grantee not in (0, proowner))`,
    ).toEqual([]);
  });

  test("operators write rules and silences, viewers and the server nothing", async () => {
    const writable = await db.sql`
      select role, c.oid::regclass::text as table, string_agg(privilege, ' ' order by privilege) as may
      from unnest(array['stacklens_viewer', 'stacklens_operator', 'stacklens_server']) as role
      cross join unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) as privilege
      cross join pg_class as c
      where relkind in ('r', 'p', 'v', 'm')
        and relnamespace::regnamespace::text in ('analytics', 'internal', 'alert_metrics', 'graphile_worker', 'graphile_migrate', '_timescaledb_internal')
        and case
          when privilege in ('INSERT', 'UPDATE') then has_any_column_privilege(role, c.oid, privilege)
          else has_table_privilege(role, c.oid, privilege)
        end
      group by role, c.oid
      order by 1, 2`;
    expect(writable).toEqual([
      { role: "stacklens_operator", table: "analytics.alert_rules", may: "DELETE INSERT UPDATE" },
      { role: "stacklens_operator", table: "analytics.silences", may: "DELETE INSERT UPDATE" },
    ]);
  });

  test("no role can be a superuser, make roles or databases, or bypass row security", async () => {
    expect(
      await db.sql`
        select rolname from pg_roles
        where starts_with(rolname, 'stacklens_') and (rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolreplication)`,
    ).toEqual([]);
  });

  test("the roll-ups are the worker's, who refreshes them", async () => {
    expect(
      await db.sql`
        select relation::text from internal.rollups join pg_class on oid = relation
        where relowner <> 'stacklens_worker'::regrole`,
    ).toEqual([]);
  });
});

describe("in SQL", () => {
  test.each([
    ["stacklens_server", "select * from analytics.services", "permission denied"],
    ["stacklens_server", "select * from analytics.events", "permission denied"],
    ["stacklens_server", "set local role stacklens_owner", "permission denied"],
    ["stacklens_server", "set local role stacklens_worker", "permission denied"],
    ["stacklens_server", "set local role stacklens_ingest", "permission denied"],
    ["stacklens_server", "set local role stacklens_viewer; select * from analytics.services", "allowed"],
    ["stacklens_server", "set local role stacklens_operator; select * from analytics.events", "allowed"],
    ["stacklens_server", "set local role stacklens_viewer; select user_id from analytics.events", "permission denied"],
    ["stacklens_viewer", "select * from analytics.high_risk_events", "permission denied"],
    ["stacklens_viewer", "select h from analytics.high_risk_events as h", "permission denied"],
    ["stacklens_viewer", "select to_jsonb(h) from analytics.high_risk_events as h", "permission denied"],
    ["stacklens_viewer", "select 1 from analytics.high_risk_events where source_ip = '1.2.3.4'", "permission denied"],
    ["stacklens_viewer", "select time, service from analytics.high_risk_events", "allowed"],
    ["stacklens_viewer", "select * from internal.metrics_10s_v1", "permission denied"],
    ["stacklens_viewer", "select * from internal.window_rows(now() - interval '1 h', now())", "permission denied"],
    ["stacklens_viewer", "select * from internal.event_rows(now() - interval '1 h', now())", "permission denied"],
    ["stacklens_viewer", "select * from internal.alert_messages", "permission denied"],
    ["stacklens_viewer", "select analytics.evaluate_alert_rules()", "permission denied"],
    ["stacklens_viewer", "select * from graphile_worker._private_jobs", "permission denied"],
    ["stacklens_viewer", "create table analytics.mine ()", "permission denied"],
    [
      "stacklens_viewer",
      "create function alert_metrics.mine(interval) returns int language sql return 1",
      "permission denied",
    ],
    ["stacklens_operator", "select analytics.evaluate_alert_rules()", "permission denied"],
    [
      "stacklens_operator",
      "insert into analytics.events (time, service, level) values (now(), 'x', 'info')",
      "permission denied",
    ],
    ["stacklens_operator", "delete from analytics.events", "permission denied"],
    ["stacklens_operator", "update analytics.alerts set status = 'resolved'", "permission denied"],
    ["stacklens_operator", "update analytics.retention set keep = '1 hour'", "permission denied"],
    ["stacklens_operator", "update analytics.silences set created_by = 'somebody else'", "permission denied"],
    ["stacklens_ingest", "select * from analytics.events", "permission denied"],
    ["stacklens_ingest", "update analytics.alert_rules set enabled = false", "permission denied"],
    ["stacklens_worker", "delete from analytics.events", "permission denied"],
    ["stacklens_worker", "insert into analytics.alert_rules (id) values ('x')", "permission denied"],
    ["stacklens_worker", "drop table analytics.alerts", "must be owner"],
  ])("%s: %s", async (role, statement, expected) => {
    expect(await outcome(role, statement)).toContain(expected);
  });
});

describe("sql/roles/create.sql", () => {
  const text = readFileSync("sql/roles/create.sql", "utf8");

  test("makes what is missing and can run again, and tells who may not make roles what to do", async () => {
    const prefix = unique("roles_test");
    const own = text.replaceAll("stacklens_", `${prefix}_`);
    const rollBack = new Error("roll back");
    await db.sql
      .begin(async (sql) => {
        await sql.unsafe(`create role ${prefix}_nobody`);
        await sql.unsafe(`set local role ${prefix}_nobody`);
        await expect(sql.savepoint((sql) => sql.unsafe(own))).rejects.toThrow(
          `role ${prefix}_ingest is missing and ${prefix}_nobody may not create roles: let an administrator run psql -f sql/roles/create.sql`,
        );
        await sql`reset role`;
        await sql.unsafe(own);
        await sql.unsafe(own);
        const roles = await sql`
          select substr(rolname, ${prefix.length + 2}) as role, rolcanlogin as login, rolinherit as inherits
          from pg_roles where starts_with(rolname, ${prefix}) order by 1`;
        expect(roles.filter(({ role }) => role !== "nobody")).toEqual([
          { role: "ingest", login: true, inherits: true },
          { role: "operator", login: false, inherits: true },
          { role: "owner", login: true, inherits: true },
          { role: "server", login: true, inherits: false },
          { role: "viewer", login: false, inherits: true },
          { role: "worker", login: true, inherits: true },
        ]);
        throw rollBack;
      })
      .catch((error) => {
        if (error !== rollBack) throw error;
      });
  });
});

/** An event that breaches comes in by Kafka, is an alert, leaves by Kafka, and is in GraphQL: each by its own login. */
async function everyProcess(url: string): Promise<void> {
  const topic = await testTopic("roles", 2);
  const alertTopic = unique("analytics-alerts");
  await ensureTopics(topic.kafka, [{ topic: alertTopic, numPartitions: 1 }]);
  const consumer = await consume(topic.config(url).kafka.brokers, alertTopic);
  const worker = await startWorker({ ...topic.config(as("stacklens_worker", url)), alertTopic });
  const api = await startApi(as("stacklens_server", url), { ingestTopic: topic.name });
  try {
    await whileIngesting(topic.config(as("stacklens_ingest", url)), async () => {
      await topic.send(
        Array.from({ length: 30 }, () => ({ timestamp: Date.now(), service: "web", level: "error", user_id: "u" })),
      );
      await topic.send(["not an event", { timestamp: Date.now() - 600_000, service: "web", level: "info" }]);
      await consumer.until((messages) => messages.some(({ key }) => key === "critical_error_rate:web"));

      const { data, errors } = await api.asViewer("{ serviceHealth { nodes { service health } } }");
      expect([data, errors]).toEqual([
        { serviceHealth: { nodes: [{ service: "web", health: "CRITICAL" }] } },
        undefined,
      ]);
      const { data: more } = await api.query("{ rejectedEvents { totalCount } events { totalCount } }");
      expect(more).toEqual({ rejectedEvents: { totalCount: 1 }, events: { totalCount: 31 } });
      expect((await fetch(`${api.url}/readyz`)).status).toBe(200);
      expect(await (await fetch(`${api.url}/metrics`)).text()).toContain(
        'stacklens_service_requests{service="web"} 30',
      );
      const [id] = (await api.query("{ activeAlerts { nodes { id } } }")).data.activeAlerts.nodes;
      const acknowledge = `mutation { acknowledgeAlert(input: { alertId: "${id.id}" }) { alert { acknowledgedBy } } }`;
      expect((await api.query(acknowledge)).data.acknowledgeAlert.alert).toEqual({ acknowledgedBy: "tester" });
    });
    // the late event was rolled up, by the worker
    const sql = connect(url, "stacklens test", 1);
    while ((await sql`select from internal.late_minutes`).length > 0) await sleep(100);
    await sql.end();
  } finally {
    await api.stop();
    await worker();
    await consumer.stop();
    await topic.close();
  }
}

describe("every process works with its own login", () => {
  test("on a database that a superuser migrated", async ({ skip }) => {
    const why = await refused(as("stacklens_server"));
    if (why) skip(why);
    await everyProcess(db.url);
  });

  test("on a database that stacklens_owner migrated, who is no superuser", async ({ skip }) => {
    if (testServers().database === "embedded") skip("databases of the embedded server belong to its superuser");
    const why = await refused(as("stacklens_owner"));
    if (why) skip(why);
    const name = unique(`stacklens_test_${Date.now().toString(36)}_owned`);
    const url = new URL(db.url);
    url.pathname = `/${name}`;
    await db.sql.unsafe(`create database "${name}" owner stacklens_owner`);
    try {
      const admin = connect(url.href, "stacklens test", 1);
      await admin`create extension timescaledb`;
      await admin.end();
      await migrate(as("stacklens_owner", url.href), { current: true });
      await everyProcess(url.href);
    } finally {
      await db.sql.unsafe(`drop database "${name}" with (force)`);
    }
  });
});
