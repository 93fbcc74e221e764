// npm that is killed with -9 tells nobody, so what it started looks after it.

import { execFileSync } from "node:child_process";

const EVERY_MS = 500;

/** Calls `then` once when the npm that runs this process is gone. Does nothing where no npm does: the parent may go then. */
export function onLauncherGone(then: () => void): void {
  if (!process.env.npm_lifecycle_event) return;
  const parent = process.ppid;
  const npm = npmBehind(parent);
  const timer = setInterval(() => {
    if (process.ppid === parent && alive(npm)) return;
    clearInterval(timer);
    then();
  }, EVERY_MS);
  timer.unref();
}

/** npm runs scripts in a shell; some shells step aside for the program, others stay between. */
function npmBehind(parent: number): number {
  try {
    const [, grandparent, command] = /(\d+)\s+(.+)/.exec(
      execFileSync("ps", ["-o", "ppid=,comm=", "-p", String(parent)], { encoding: "utf8" }),
    )!;
    return /sh$/.test(command!.trim()) ? Number(grandparent) : parent;
  } catch {
    return parent; // no ps: the parent is all that can be watched
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
