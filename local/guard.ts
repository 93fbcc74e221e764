// Ends a child process with this one, however this one ends: its exit, an exception, kill -9, out of memory.

import { type ChildProcess, spawn } from "node:child_process";

// `read` returns when the pipe's other end, held by this process, is gone. Then: ask, and after 5 s make sure.
const SCRIPT = `
read -r _
kill "$1" 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$1" 2>/dev/null || exit; sleep 0.5; done
kill -9 "$1"
`;

/** Binds the life of `child` to this process. Costs one idle sh. */
export function endWithParent(child: ChildProcess): void {
  if (child.pid === undefined) return;
  const guard = spawn("sh", ["-c", SCRIPT, "sh", String(child.pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true, // a Ctrl-C in the terminal reaches the whole process group, and must not reach the guard
  });
  guard.on("error", () => {}); // no sh: no guard
  guard.unref();

  const onExit = () => {
    child.kill("SIGKILL");
    guard.kill("SIGKILL");
  };
  process.once("exit", onExit);
  child.once("exit", () => {
    process.off("exit", onExit);
    guard.kill("SIGKILL");
  });
}
