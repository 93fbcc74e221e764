// What may be asked, by the syntax alone. No database here: what the login holds by itself is in execute.test.ts.

import { expect, test } from "vitest";
import { check } from "../../src/adhoc/check.ts";
import { Refusal } from "../../src/adhoc/refusal.ts";
import { BOMBS, ESCAPES } from "./escapes.ts";
import { SELECTS } from "./selects.ts";

test.each([...ESCAPES, ...BOMBS])("refuses %s", (_name, sql, refusal) => {
  expect(() => check(sql)).toThrow(Refusal);
  expect(() => check(sql)).toThrow(refusal);
});

test.each(SELECTS)("lets pass %s", (_name, sql) => {
  check(sql);
});

test("there are no two escapes alike", () => {
  const all = [...ESCAPES, ...BOMBS].map(([, sql]) => sql);
  expect(new Set(all).size).toBe(all.length);
  expect(all.length).toBeGreaterThan(100);
});

test("an error of syntax says where", () => {
  expect(() => check("select from from")).toThrow('syntax error at or near "from" (character 13)');
});

test("the deepest nesting that fits does not harm the parser", () => {
  const nestings = [
    ["(select ", ")"],
    ["not ", ""],
    ["case when ", " then 1 end"],
    ["''||", ""],
    ["array[", "]"],
    ["1+", ""],
  ];
  for (const [open, close] of nestings as [string, string][]) {
    const depth = Math.floor(9_980 / (open.length + close.length));
    const sql = `select ${open.repeat(depth)}1${close.repeat(depth)}`;
    try {
      check(sql);
    } catch (error) {
      expect(error).toBeInstanceOf(Refusal);
    }
  }
  check("select 1");
});
