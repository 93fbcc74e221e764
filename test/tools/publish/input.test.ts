import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { openInput } from "../../../tools/publish/input.ts";
import { MAX_LINE_LENGTH } from "../../../tools/publish/line.ts";

const folder = mkdtempSync(join(tmpdir(), "stacklens-input-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function linesOf(name: string, content: string | Buffer): Promise<string[]> {
  const path = join(folder, name);
  writeFileSync(path, content);
  const all: string[] = [];
  for await (const { lines } of openInput(path).lines(new AbortController().signal)) all.push(...lines);
  return all;
}

test("a file is read line by line, the last one also without a line end", async () => {
  expect(await linesOf("a.log", "one\ntwo\n\nthree")).toEqual(["one", "two", "", "three"]);
  expect(await linesOf("b.log", "one\n")).toEqual(["one"]);
  expect(await linesOf("c.log", "")).toEqual([]);
});

test("a gzipped file is read as what it holds", async () => {
  expect(await linesOf("a.log.gz", gzipSync("one\ntwo\n"))).toEqual(["one", "two"]);
});

test("a damaged gzip file is an error, not a short log", async () => {
  const whole = gzipSync("line\n".repeat(10_000));
  await expect(linesOf("cut.log.gz", whole.subarray(0, whole.length / 2))).rejects.toThrow();
});

test("chunks that cut a line or a character in two do not show", async () => {
  const text = fc.array(fc.string({ unit: "grapheme", maxLength: 200 }).map((line) => line.replaceAll("\n", " ")));
  await fc.assert(
    fc.asyncProperty(text, async (lines) => {
      // Behind 256 KiB less a few bytes, the first chunk ends somewhere in these lines.
      const filler = "é".repeat(131_000);
      const content = [filler, ...lines].join("\n");
      expect(await linesOf("chunks.log", content)).toEqual(
        content.split("\n").filter((line, at, all) => line !== "" || at < all.length - 1),
      );
    }),
    { numRuns: 30 },
  );
});

test("a line without an end does not fill the memory, and the line behind it is read", async () => {
  const lines = await linesOf("long.log", `${"x".repeat(5_000_000)}\nnext\n`);
  expect(lines.map((line) => line.length > MAX_LINE_LENGTH)).toEqual([true, false]);
  expect(lines[1]).toBe("next");
});

test.each([
  ["no-such.log", "no such file"],
  [".", "is a folder"],
])("%s: %s", (name, why) => {
  expect(() => openInput(join(folder, name))).toThrow(why);
});
