// What the documentation says about the repository is true: commands exist, links lead somewhere, files are there.

import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

const pages = globSync(["README.md", "docs/*.md"]).map((page) => ({ page, text: readFileSync(page, "utf8") }));

/** All that a pattern's first group matches, as "page: match", without those that `holds` is true of. */
function broken(pattern: RegExp, holds: (match: string, page: string) => boolean): string[] {
  return pages.flatMap(({ page, text }) =>
    [...text.matchAll(pattern)]
      .map(([, match]) => match!)
      .filter((match) => !holds(match, page))
      .map((match) => `${page}: ${match}`),
  );
}

test("there are pages to look at", () => {
  expect(pages.map(({ page }) => page)).toContain("docs/development.md");
});

test("every npm command is a script of package.json", () => {
  const { scripts } = JSON.parse(readFileSync("package.json", "utf8"));
  expect(broken(/\bnpm run (?:--silent |-s )?([\w:-]+)/g, (script) => script in scripts)).toEqual([]);
  expect(broken(/\bnpm (start|test|stop|restart)\b/g, (script) => script in scripts)).toEqual([]);
});

test("every word behind `npm run migrate` is one of its commands", () => {
  const commands = [...readFileSync("tools/migrate.ts", "utf8").matchAll(/case "(\w+)":/g)].map(
    ([, command]) => command,
  );
  expect(commands).toContain("watch");
  expect(broken(/\bnpm run migrate (?:-- )?([a-z]\w*)/g, (word) => commands.includes(word))).toEqual([]);
});

test("every relative link leads to a file, and its anchor to a heading", () => {
  const leads = (link: string, page: string) => {
    const [path, anchor] = link.split("#");
    const target = path ? join(dirname(page), path) : page;
    if (!existsSync(target)) return false;
    return !anchor || anchors(readFileSync(target, "utf8")).includes(anchor);
  };
  expect(broken(/\]\((?!https?:|mailto:)([^)\s]+)\)/g, leads)).toEqual([]);
});

test("every file of the repository that is named in backticks is there", () => {
  const folders = "src|sql|local|tools|test|docs|migrations|bench|\\.ci";
  expect(broken(new RegExp(`\`((?:${folders})/[\\w./-]*)\``, "g"), (path) => existsSync(path))).toEqual([]);
});

/** The anchors that headings get: lower case, dashes for blanks, other signs left out. */
function anchors(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}
