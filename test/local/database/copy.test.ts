import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { failure, type Server, sharedServer } from "./server.ts";

let server: Server;
beforeAll(async () => {
  server = await sharedServer();
  await server.psql("create table rows (n int, name text); create table copied (like rows)");
});
afterAll(() => server.stop());

const sum = "select count(*)::int, sum(n)::text, md5(string_agg(name, '' order by n)) as hash from";

test("100 000 rows go in as text, out as binary, and in again as binary, unchanged", async () => {
  const sql = server.connect();
  const lines = Array.from({ length: 100_000 }, (_, n) => `${n}\tnäme\\t${n * 7}\n`);
  const chunks = Array.from({ length: 100 }, (_, i) => lines.slice(i * 1000, (i + 1) * 1000).join(""));
  await pipeline(Readable.from(chunks), await sql`copy rows from stdin`.writable());
  const binary: Buffer[] = [];
  for await (const chunk of await sql`copy rows to stdout with (format binary)`.readable()) binary.push(chunk);
  await pipeline(Readable.from(binary), await sql`copy copied from stdin with (format binary)`.writable());
  const [expected] = await sql`
    select count(*)::int, sum(n)::text, md5(string_agg(format(e'näme\t%s', n * 7), '' order by n)) as hash
    from generate_series(0, 99999) n`;
  expect((await sql.unsafe(`${sum} rows`))[0]).toEqual(expected);
  expect((await sql.unsafe(`${sum} copied`))[0]).toEqual(expected);
});

test("COPY runs in its client's transaction, beside the statements of other clients", async () => {
  const [writer, reader] = [server.connect(), server.connect()];
  const before = await reader`select count(*)::int from rows`;
  const written = writer.begin(async (transaction) => {
    for (let batch = 0; batch < 5; batch++) {
      await transaction`select ${batch}::int`;
      await pipeline(Readable.from([`${batch}\tbatch\n`]), await transaction`copy rows from stdin`.writable());
    }
    throw new Error("rolled back");
  });
  const counts = Promise.all(Array.from({ length: 20 }, () => reader`select count(*)::int from rows`));
  expect((await failure(written)).message).toBe("rolled back");
  for (const count of await counts) expect(count).toEqual(before);
});

test("psql copies CSV in and out", async () => {
  await server.psql(`create table csv (a int, b text);\n\\copy csv from stdin with (format csv)\n1,"a, b"\n2,c\n\\.\n`);
  expect(await server.psql("\\copy csv to stdout with (format csv, header)")).toBe('a,b\n1,"a, b"\n2,c');
});

test("a line that cannot be read is an error with its line, and the connection goes on", async () => {
  const output = await server.psql(
    "\\set ON_ERROR_STOP 0\n\\copy rows from stdin\n1\tgood\nnot a number\tbad\n3\tgood\n\\.\nselect 'still here';\n" +
      "begin;\n\\copy rows from stdin\nbad\n\\.\nselect 1;\nrollback;\nselect 'here again';\n",
  );
  expect(output).toBe("still here\nhere again");
  expect(await server.psql("select count(*) from rows where name in ('good', 'bad')")).toBe("0");
});

test("a COPY that its client gives up, by CopyFail or by vanishing, leaves nothing", async () => {
  const sql = server.connect();
  const given = await sql`copy rows from stdin`.writable();
  given.on("error", () => {});
  given.write("1000000\tgiven up\n");
  given.destroy(new Error("given up"));
  expect(await server.psql("select count(*) from rows where n = 1000000")).toBe("0");

  const vanishing = server.connect(undefined, { max: 1 });
  const left = await vanishing`copy rows from stdin`.writable();
  left.write("1000001\tleft\n");
  left.on("error", () => {});
  void vanishing.end({ timeout: 0 });
  expect(await server.psql("select count(*) from rows where n = 1000001")).toBe("0");
});

test("a client that leaves a COPY open is ended by its statement_timeout, or when others have waited for it long enough", async () => {
  const sql = server.connect();
  await sql`set statement_timeout to '200ms'`;
  const open = await sql`copy rows from stdin`.writable();
  open.on("error", () => {});
  open.write("1000002\topen\n");
  expect(await server.psql("select count(*) from rows where n = 1000002")).toBe("0");

  const other = server.connect();
  await other`set idle_in_transaction_session_timeout to '300ms'`;
  const left = await other`copy rows from stdin`.writable();
  left.on("error", () => {});
  left.write("1000003\topen\n");
  expect(await server.psql("select count(*) from rows where n = 1000003")).toBe("0");
});

test("megabytes of results reach a client that reads slowly, whole", async () => {
  const sql = server.connect();
  let bytes = 0;
  for await (const chunk of await sql`copy (select repeat('x', 99) from generate_series(1, 300000)) to stdout`.readable()) {
    if (bytes === 0) await new Promise((resolve) => setTimeout(resolve, 300));
    bytes += chunk.length;
  }
  expect(bytes).toBe(300_000 * 100);
});
