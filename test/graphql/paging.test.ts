import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../setup/services.ts";
import { ago, insertEvents } from "../sql/events.ts";
import { type Api, startApi } from "./api.ts";

// 4 services in 72 buckets of 5 minutes: 288 rows. Few distinct values everywhere, so that every order has ties.
const SERVICES = ["api", "billing", "search", "web"];
const BUCKETS = 72;
const ROWS = SERVICES.length * BUCKETS;

let db: TestDatabase;
let api: Api;

beforeAll(async () => {
  db = await testDatabase();
  const now = new Date();
  await insertEvents(
    db.sql,
    SERVICES.flatMap((service, index) =>
      Array.from({ length: BUCKETS }, (_, bucket) => ({
        service,
        time: ago(now, 600 + bucket * 300),
        endpoint: "/",
        latency_ms: 10 * (1 + ((bucket + index) % 3)),
        level: bucket % 4 === 0 ? ("error" as const) : ("info" as const),
      })),
    ),
  );
  await db.sql`call internal.refresh_rollups()`;
  await db.sql`
    insert into analytics.rejected_events (received_at, topic, partition, "offset", reason, detail)
    select now() - (n / 50) * interval '1 minute', 't', 0, n, 'invalid_json', '' from generate_series(1, 230) as n`;
  api = await startApi(db.url);
});
afterAll(async () => {
  await api.stop();
  await db.drop();
});

type Page = { nodes: object[]; pageInfo: { hasNextPage: boolean; endCursor: string; startCursor: string } };

/** All rows of a list, page by page. */
async function allPages(field: string, orderBy: string, columns: string, size: number): Promise<string[]> {
  const rows: string[] = [];
  for (let after: string | null = null; ; ) {
    const { data, errors } = await api.query(
      `query ($after: Cursor) {
        list: ${field}(first: ${size}, after: $after, orderBy: [${orderBy}]) {
          nodes { ${columns} } pageInfo { hasNextPage endCursor }
        }
      }`,
      { after },
    );
    expect(errors).toBeUndefined();
    const { nodes, pageInfo }: Page = data.list;
    rows.push(...nodes.map((node) => JSON.stringify(node)));
    if (!pageInfo.hasNextPage) return rows;
    after = pageInfo.endCursor;
  }
}

describe("all pages together have every row once", () => {
  test.each([
    ["metrics5min", "BUCKET_DESC", "bucket service"],
    ["metrics5min", "BUCKET_ASC", "bucket service"],
    ["metrics5min", "SERVICE_DESC", "bucket service"],
    ["metrics5min", "LATENCY_P95_DESC", "bucket service"],
    ["metrics5min", "ERROR_RATE_ASC, BUCKET_DESC", "bucket service"],
    ["metrics5min", "AVG_RISK_SCORE_DESC", "bucket service"], // NULL in every row
    ["metrics5min", "SERVICE_ASC, BUCKET_DESC", "bucket service"],
    ["endpointMetrics5min", "BUCKET_DESC", "bucket service endpoint"],
    ["performanceTrend", "BUCKET_DESC", "bucket service"],
    // NULL in some rows
    ["performanceTrend", "LATENCY_P95_CHANGE_DESC", "bucket service"],
    ["performanceTrend", "LATENCY_P95_CHANGE_ASC, SERVICE_DESC", "bucket service"],
  ])("%s by %s", async (field, orderBy, columns) => {
    const rows = await allPages(field, orderBy, columns, 37);
    expect(rows).toHaveLength(ROWS);
    expect(new Set(rows).size).toBe(ROWS);
  });

  test.each(["RECEIVED_AT_DESC", "RECEIVED_AT_ASC", "ID_DESC"])("rejectedEvents by %s", async (orderBy) => {
    const rows = await allPages("rejectedEvents", orderBy, "id", 41);
    expect(rows).toHaveLength(230);
    expect(new Set(rows).size).toBe(230);
  });

  test("the rows of the function metrics()", async () => {
    const rows = new Set<string>();
    for (let after: string | null = null; ; ) {
      const { data } = await api.query(
        `query ($after: Cursor, $since: Datetime) {
          metrics(resolution: FIVE_MINUTES, since: $since, first: 50, after: $after) {
            nodes { bucket service } pageInfo { hasNextPage endCursor }
          }
        }`,
        { after, since: new Date(Date.now() - 86_400_000).toISOString() },
      );
      for (const node of data.metrics.nodes) rows.add(JSON.stringify(node));
      if (!data.metrics.pageInfo.hasNextPage) break;
      after = data.metrics.pageInfo.endCursor;
    }
    expect(rows.size).toBe(ROWS);
  });
});

test("NULLs come last in both directions", async () => {
  const { data } = await api.query(`{
    up: performanceTrend(first: 288, orderBy: [LATENCY_P95_CHANGE_ASC]) { nodes { latencyP95Change } }
    down: performanceTrend(first: 288, orderBy: [LATENCY_P95_CHANGE_DESC]) { nodes { latencyP95Change } }
  }`);
  for (const { nodes } of [data.up, data.down]) {
    const changes = nodes.map(({ latencyP95Change }: { latencyP95Change: number | null }) => latencyP95Change);
    expect(changes.slice(0, -4)).not.toContain(null);
    expect(changes.slice(-4)).toEqual([null, null, null, null]); // the first bucket of each service
  }
});

test("pages go backwards, too", async () => {
  const { data } = await api.query(`{
    end: metrics5min(orderBy: [BUCKET_DESC], last: 10) { nodes { bucket service } pageInfo { startCursor } }
    all: metrics5min(orderBy: [BUCKET_DESC], first: 288) { nodes { bucket service } }
  }`);
  expect(data.end.nodes).toEqual(data.all.nodes.slice(-10));

  const { data: before } = await api.query(
    `query ($before: Cursor) { metrics5min(orderBy: [BUCKET_DESC], last: 10, before: $before) { nodes { bucket service } } }`,
    { before: data.end.pageInfo.startCursor },
  );
  expect(before.metrics5min.nodes).toEqual(data.all.nodes.slice(-20, -10));
});

test("offset skips rows, and totalCount counts all of them", async () => {
  const { data } = await api.query(`{
    part: metrics5min(first: 5, offset: 283) { totalCount nodes { bucket service } }
    all: metrics5min(first: 1000) { nodes { bucket service } }
  }`);
  expect(data.part.totalCount).toBe(ROWS);
  expect(data.part.nodes).toEqual(data.all.nodes.slice(283));
});

test("a page has 100 rows unless the query says otherwise, newest first", async () => {
  const { data } = await api.query("{ metrics5min { nodes { bucket } pageInfo { hasNextPage } } }");
  expect(data.metrics5min.nodes).toHaveLength(100);
  expect(data.metrics5min.pageInfo.hasNextPage).toBe(true);
  const buckets = data.metrics5min.nodes.map(({ bucket }: { bucket: string }) => bucket);
  expect(buckets).toEqual([...buckets].sort().reverse());
});

test("lists inside of a service are pages of the same size", async () => {
  const { data } = await api.query(`{
    service(service: "web") { metrics5min { totalCount nodes { bucket } } performanceTrend(first: 3) { nodes { service } } }
  }`);
  expect(data.service.metrics5min.totalCount).toBe(BUCKETS);
  expect(data.service.metrics5min.nodes).toHaveLength(BUCKETS);
  expect(data.service.performanceTrend.nodes).toEqual([{ service: "web" }, { service: "web" }, { service: "web" }]);
});

test.each([
  ["first: 1001", "first is 1001"],
  ["first: -1", "first is -1"],
  ["last: 5000", "last is 5000"],
])("more than a page holds is refused: %s", async (size, message) => {
  const { data, errors } = await api.query(`{ metrics5min(${size}) { nodes { bucket } } }`);
  expect(data.metrics5min).toBeNull();
  expect(errors).toMatchObject([{ message: expect.stringContaining(message), extensions: { code: "BAD_REQUEST" } }]);
});

test("rows without a key have offsets, but no cursors", async () => {
  const { data } = await api.query(`{
    first: events(first: 100) { nodes { time service } }
    next: events(first: 100, offset: 100) { nodes { time service } }
    rest: events(first: 100, offset: 200) { totalCount nodes { time service } }
  }`);
  const rows = [...data.first.nodes, ...data.next.nodes, ...data.rest.nodes];
  expect(rows).toHaveLength(ROWS);
  expect(data.rest.totalCount).toBe(ROWS);
  const { errors } = await api.query(`{ events(after: "x") { nodes { time } } }`);
  expect(errors).toMatchObject([{ message: expect.stringContaining('Unknown argument "after"') }]);
});
