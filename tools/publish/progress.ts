// How far it is: a bar on a terminal, else a plain line every five seconds.

import { SingleBar } from "cli-progress";

const PLAIN_EVERY_MS = 5_000;

export type Progress = { at: (done: number) => void; stop: () => void };

/** Shows progress on standard error. Without a total, as when following a stream, there is no bar. */
export function showProgress(what: string, unit: string, total?: number): Progress {
  if (process.stderr.isTTY && total !== undefined) return bar(what, unit, total);
  let told = Date.now();
  return {
    at: (done) => {
      if (Date.now() - told < PLAIN_EVERY_MS) return;
      told = Date.now();
      const of = total === undefined ? "" : ` of ${count(total)}`;
      process.stderr.write(`${what}: ${count(done)}${of} ${unit}\n`);
    },
    stop: () => {},
  };
}

/** 1234567 as 1,234,567. */
export function count(number: number): string {
  return Math.round(number).toLocaleString("en");
}

function bar(what: string, unit: string, total: number): Progress {
  const bar = new SingleBar({
    format: `${what} {bar} {percentage}% | {done} of ${count(total)} ${unit} | {duration_formatted}`,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    stream: process.stderr,
    hideCursor: true,
  });
  bar.start(total, 0, { done: "0" });
  return {
    at: (done) => bar.update(done, { done: count(done) }),
    stop: () => bar.stop(),
  };
}
