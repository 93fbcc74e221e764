// One server a data directory: a file with the process that has it, which is stale when that process is gone.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** When a process began, to tell it from a later one with the same number; "" where the system does not say. */
function startOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ")[19]!;
  } catch {
    return "";
  }
}

function lives(pid: number, start: string): boolean {
  try {
    process.kill(pid, 0);
  } catch (reason) {
    if ((reason as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return startOf(pid) === start;
}

/** Takes the directory, or throws one line that names who has it; the result gives it back. */
export function lockDirectory(directory: string): () => void {
  const file = join(directory, "lock");
  const mine = `${process.pid} ${startOf(process.pid)}`;
  for (;;) {
    try {
      writeFileSync(file, mine, { flag: "wx" });
      return () => rmSync(file, { force: true });
    } catch (reason) {
      if ((reason as NodeJS.ErrnoException).code !== "EEXIST") throw reason;
    }
    const [pid, start] = readFileSync(file, "utf8").split(" ");
    if (lives(Number(pid), start ?? "")) {
      throw new Error(`${directory} is in use by process ${pid}; stop that one or choose another data directory`);
    }
    rmSync(file, { force: true });
  }
}
