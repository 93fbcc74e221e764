// Whether a broker runs on a data folder. Kafka locks the folder itself, but only after it has read its metadata log, and what a
// running broker is writing there looks damaged to a second one, which cuts it off.

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Remembers the broker of the folder. */
export function rememberBroker(dataDir: string, pid: number): void {
  writeFileSync(join(dataDir, "kafka.pid"), `${pid}\n`);
}

/** The process id of the broker that runs on the folder; `settings` is its settings file, which is in its command line. */
export function runningBroker(dataDir: string, settings: string): number | undefined {
  const pid = Number(attempt(() => readFileSync(join(dataDir, "kafka.pid"), "utf8")));
  return pid > 0 && commandLine(pid).includes(settings) ? pid : undefined;
}

function commandLine(pid: number): string {
  if (process.platform === "linux") return attempt(() => readFileSync(`/proc/${pid}/cmdline`, "utf8"));
  return attempt(() => execFileSync("ps", ["-o", "args=", "-p", String(pid)], { encoding: "utf8", stdio: "pipe" }));
}

function attempt(read: () => string): string {
  try {
    return read();
  } catch {
    return "";
  }
}
