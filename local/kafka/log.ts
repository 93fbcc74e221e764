// The broker's log file: appended to, since emptying it would take the log of a broker that runs on the same folder already.

import { existsSync, readFileSync, renameSync, statSync } from "node:fs";

const MAX_BYTES = 5_000_000;

export type KafkaLog = { file: string; sinceStart: () => string };

/** The log at `file`; `sinceStart` is what was written since this call. One that grew over 5 MB becomes `file`.old. */
export function kafkaLog(file: string): KafkaLog {
  let start = existsSync(file) ? statSync(file).size : 0;
  if (start > MAX_BYTES) {
    renameSync(file, `${file}.old`);
    start = 0;
  }
  return { file, sinceStart: () => readFileSync(file).subarray(start).toString() };
}
