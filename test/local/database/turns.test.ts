import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { failure, limit, type Server, sharedServer } from "./server.ts";

let server: Server;
beforeAll(async () => {
  server = await sharedServer();
  await server.psql("create table numbers (n int); create role reader; grant reader to postgres");
});
afterAll(() => server.stop());

test("a client waits for the transaction of another one and then sees what it has committed", async () => {
  const [first, second] = [await server.client(), await server.client()];
  await first.query("begin");
  await first.query("insert into numbers values (1)");
  let answered = false;
  const seen = second.query("select n from numbers").then(({ rows }) => {
    answered = true;
    return rows;
  });
  await setTimeout(100);
  expect(answered).toBe(false);
  await first.query("insert into numbers values (2)");
  await first.query("commit");
  expect(await seen).toEqual([{ n: 1 }, { n: 2 }]);
});

test("each client keeps its own settings, role and prepared statements", async () => {
  const clients = await Promise.all(["a", "b", "c"].map(() => server.client()));
  for (const [i, client] of clients.entries()) {
    await client.query(
      `set application_name to 'client ${i}'; set search_path to "schema ${i}", public; set my.own to '${i}'`,
    );
    if (i === 1) await client.query("set role reader");
    await client.query({ name: "same", text: `select ${i} as n, $1::text as given`, values: ["first"] });
  }
  for (let round = 0; round < 3; round++) {
    for (const [i, client] of clients.entries()) {
      const state =
        "select current_setting('application_name') as name, current_setting('my.own') as own, current_user::text as role";
      expect((await client.query(state)).rows).toEqual([
        { name: `client ${i}`, own: `${i}`, role: i === 1 ? "reader" : "postgres" },
      ]);
      expect((await client.query("show search_path")).rows[0].search_path).toBe(`"schema ${i}", public`);
      const again = await client.query({
        name: "same",
        text: `select ${i} as n, $1::text as given`,
        values: ["again"],
      });
      expect(again.rows).toEqual([{ n: i, given: "again" }]);
    }
  }
});

test("what set_config sets for the session stays, what it sets for the transaction does not", async () => {
  const [mine, other] = [await server.client(), await server.client()];
  await mine.query("select set_config('my.session', 'kept', false), set_config('my.local', 'gone', true)");
  await other.query("select 1");
  const { rows } = await mine.query(
    "select current_setting('my.session') as session, current_setting('my.local', true) as local",
  );
  expect(rows[0].session).toBe("kept");
  expect(rows[0].local || null).toBe(null);
});

test("DISCARD ALL takes its own client's state and nobody else's", async () => {
  const [mine, other] = [await server.client(), await server.client()];
  const statement = { name: "kept", text: "select $1::int + 1 as next", values: [1] };
  await other.query("set my.own to 'other'");
  await other.query(statement);
  await mine.query("set my.own to 'mine'");
  await mine.query("discard all");
  expect((await mine.query("select current_setting('my.own', true) as own")).rows[0].own || null).toBe(null);
  expect((await other.query(statement)).rows).toEqual([{ next: 2 }]);
  expect((await other.query("select current_setting('my.own') as own")).rows).toEqual([{ own: "other" }]);
});

test("DEALLOCATE takes the statement of its own client, also one that another client's DISCARD ALL has removed", async () => {
  const [first, second] = [await server.client(), await server.client()];
  for (const [client, n] of [
    [first, 1],
    [second, 2],
  ] as const)
    for (const name of ["kept", "gone", "Also gone"]) await client.query({ name, text: `select ${n} as n` });
  await first.query("begin");
  await first.query('deallocate "gone"');
  expect((await failure(first.query("deallocate nobodys"))).code).toBe("26000");
  await first.query("rollback");
  expect((await second.query({ name: "gone", text: "select 2 as n" })).rows).toEqual([{ n: 2 }]);
  await second.query("discard all");
  await first.query('deallocate "Also gone"');
  expect((await first.query({ name: "kept", text: "select 1 as n" })).rows).toEqual([{ n: 1 }]);
});

test("pipelined queries of several connections are answered in order, errors among them", async () => {
  const sql = server.connect(undefined, { max: 3 });
  const answers = await Promise.all(
    Array.from({ length: 300 }, (_, i) =>
      i % 50 === 7
        ? failure(sql`select 1 / ${i - i}::int`).then(({ code }) => code)
        : sql`select ${i}::int as n`.then(([row]) => row!.n),
    ),
  );
  expect(answers).toEqual(answers.map((_, i) => (i % 50 === 7 ? "22012" : i)));
});

test("a transaction that has failed stays with its client", async () => {
  const [failing, other] = [await server.client(), await server.client()];
  await failing.query("begin");
  expect((await failure(failing.query("select nothing"))).code).toBe("42703");
  const waiting = other.query("select 1 as one");
  expect((await failure(failing.query("select 1"))).code).toBe("25P02");
  await failing.query("rollback");
  expect((await waiting).rows).toEqual([{ one: 1 }]);
});

test("a client that vanishes leaves no transaction and no lock behind", async () => {
  const [vanishing, other] = [await server.client(), await server.client()];
  await vanishing.query("begin");
  await vanishing.query("truncate numbers");
  await vanishing.query("insert into numbers values (99)");
  (vanishing as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  expect((await other.query("select count(*)::int as n from numbers where n = 99")).rows).toEqual([{ n: 0 }]);
});

test("a client that idles in a transaction while others wait is ended with 25P03, and not before others wait", async () => {
  const [idle, other] = [await server.client(), await server.client()];
  const ended = new Promise<Error & { code?: string }>((resolve) => idle.once("error", resolve));
  expect((await idle.query("show idle_in_transaction_session_timeout")).rows).toEqual([
    { idle_in_transaction_session_timeout: "1min" },
  ]);
  await idle.query("set idle_in_transaction_session_timeout to '300ms'");
  await idle.query("begin");
  await idle.query("insert into numbers values (77)");
  await setTimeout(600);
  expect((await idle.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  const { rows } = await other.query("select count(*)::int as n from numbers where n = 77");
  expect(rows).toEqual([{ n: 0 }]);
  expect((await ended).code).toBe("25P03");
});

test("a statement ends at once with its cancellation or its statement_timeout, even one that sleeps", async () => {
  const sql = server.connect();
  for (const statement of [
    "select pg_sleep(20)",
    "do $$begin loop end loop; end$$",
    "select count(*) from generate_series(1, 1e9)",
  ]) {
    const running = sql.unsafe(statement);
    const failed = failure(running.execute());
    await setTimeout(300);
    const before = performance.now();
    running.cancel();
    const reason = await failed;
    expect(reason.message).toBe("canceling statement due to user request");
    expect(performance.now() - before).toBeLessThan(limit(150));
  }
  await sql`set statement_timeout to '200ms'`;
  const before = performance.now();
  const reason = await failure(sql`select pg_sleep(20)`);
  expect([reason.code, reason.message]).toEqual(["57014", "canceling statement due to statement timeout"]);
  expect(performance.now() - before).toBeLessThan(limit(500));
  expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
});

test("the statement of a client that vanishes is ended, too", async () => {
  const vanishing = await server.client();
  vanishing.query("select pg_sleep(20)").catch(() => {});
  await setTimeout(200);
  (vanishing as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  const before = performance.now();
  await server.psql("select 1");
  expect(performance.now() - before).toBeLessThan(limit(1000));
});

test("endless recursion is an error of one statement", async () => {
  const client = await server.client();
  await client.query("create function deep(n int) returns int language plpgsql as $$begin return deep(n + 1); end$$");
  expect((await failure(client.query("select deep(1)"))).code).toBe("54001");
  expect((await client.query("select count(*)::int > 300 as sound from pg_class")).rows).toEqual([{ sound: true }]);
});
