import { expect, test } from "vitest";
import { readArguments } from "../../../tools/publish/arguments.ts";
import { UsageError } from "../../../tools/publish/usage-error.ts";

test("a command line is read", () => {
  expect(readArguments(["--service", "web", "--into-last", "30m", "a.log", "b.log"])).toEqual({
    files: ["a.log", "b.log"],
    format: "auto",
    service: "web",
    intoLast: 1_800_000,
  });
  expect(readArguments(["-"])).toEqual({ files: ["-"], format: "auto" });
  expect(readArguments(["--help"])).toBeUndefined();
});

test.each([
  [[], "no file named"],
  [["--format", "xml", "a.log"], '--format is "xml"'],
  [["--into-last", "soon", "a.log"], '--into-last is "soon"'],
  [["--service", "", "a.log"], "--service"],
  [["--service", "x".repeat(256), "a.log"], "--service"],
  [["--what", "a.log"], "--what"],
])("a wrong one is answered by a line that says what is wrong: %j", (args, why) => {
  expect(() => readArguments(args)).toThrow(UsageError);
  expect(() => readArguments(args)).toThrow(why);
});
