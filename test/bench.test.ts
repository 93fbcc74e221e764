// The benchmarks' bookkeeping: medians, and that the pages quote what was measured. The benchmarks themselves are not run here.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { withTables } from "../bench/report.ts";
import { medians, results } from "../bench/results.ts";
import { SUMMARY } from "../bench/summary.ts";

test("the median of each figure over the runs, and what is no figure from the last", () => {
  const runs = [
    { servers: "a", rate: 10, once: 7 },
    { servers: "b", rate: 30, once: 7 },
    { servers: "c", rate: 20, once: 7 },
  ];
  expect(medians(runs)).toEqual({ servers: "c", rate: 20, once: 7 });
});

test("the medians in bench/results are those of their runs", () => {
  for (const { benchmark, servers, medians: kept, runs } of results())
    expect(kept, `${benchmark} ${servers}`).toEqual(medians(runs));
});

test("what README quotes was measured on a native server", () => {
  const measured = results().filter(({ servers }) => servers === "server");
  for (const { benchmark, name, yardstick } of SUMMARY) {
    const figures = measured.find((result) => result.benchmark === benchmark)?.medians;
    expect(figures, benchmark).toHaveProperty([name]);
    if (yardstick) expect(figures, benchmark).toHaveProperty([yardstick.name]);
  }
});

test.each(["README.md", "docs/benchmarks.md"])("%s quotes what bench/results has", (page) => {
  const text = readFileSync(page, "utf8");
  expect(text).toContain("<!-- bench:");
  expect(withTables(text)).toBe(text); // else: npm run bench -- report
});

test.each([[["nonsense"]], [[]], [["ingest", "0"]], [["ingest", "10", "--runs", "none"]]])(
  "%j is answered with what there is",
  (args) => {
    const { status, stderr } = spawnSync(process.execPath, ["bench/main.ts", ...args], { encoding: "utf8" });
    expect(status).toBe(2);
    expect(stderr).toContain("npm run bench -- ingest");
    expect(stderr).toMatch(/rollups .*\n/);
  },
);

test("an option that is not known is one line", () => {
  const { status, stderr } = spawnSync(process.execPath, ["bench/main.ts", "ingest", "--rnus", "3"], {
    encoding: "utf8",
  });
  expect(status).toBe(2);
  expect(stderr).toMatch(/^Unknown option '--rnus'.*\n/);
});
