// The lines that could not be read: how many, and the first few of them.

import { count } from "./progress.ts";

const SHOWN = 3;
const SHOWN_LENGTH = 120;

export class Unreadable {
  count = 0;
  readonly #shown: string[] = [];

  add(file: string, number: number, line: string, why: string): void {
    if (++this.count > SHOWN) return;
    // As JSON: a line may hold what would move a terminal's cursor.
    const start = JSON.stringify(line.length > SHOWN_LENGTH ? `${line.slice(0, SHOWN_LENGTH)}…` : line);
    this.#shown.push(`  ${file}, line ${number}: ${why}: ${start}`);
  }

  /** Says them on standard error. */
  show(): void {
    if (this.count === 0) return;
    const more = this.count > SHOWN ? `, the first ${SHOWN}` : "";
    const lines = this.count === 1 ? "1 line" : `${count(this.count)} lines`;
    process.stderr.write(`${lines} could not be read${more}:\n${this.#shown.join("\n")}\n`);
  }
}
