// One server a data directory: a file with the process that has it, which is stale when that process is gone.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

/** When a process began, to tell it from a later one with the same number; "" where the system does not say or it has ended. */
function startOf(pid: number): string {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
    return fields[0] === "Z" ? "" : fields[19]!;
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
export async function lockDirectory(directory: string): Promise<() => void> {
  const file = join(directory, "lock");
  const mine = `${process.pid} ${startOf(process.pid)}`;
  for (let patience = 10; ; patience--) {
    try {
      writeFileSync(file, mine, { flag: "wx" });
      return () => rmSync(file, { force: true });
    } catch (reason) {
      if ((reason as NodeJS.ErrnoException).code !== "EEXIST") throw reason;
    }
    const [pid, start] = readFileSync(file, "utf8").split(" ");
    if (lives(Number(pid), start ?? "")) {
      if (patience > 0) {
        await setTimeout(100); // it may be about to end
        continue;
      }
      throw new Error(`${directory} is in use by process ${pid}; stop that one or choose another data directory`);
    }
    rmSync(file, { force: true });
  }
}
