import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { takeLock } from "../../local/lock.ts";

const folder = mkdtempSync(join(tmpdir(), "stacklens-lock-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A process that takes the lock and keeps it; `said` is what it got. */
async function holder(path: string) {
  const script = `
    const { takeLock } = await import("./local/lock.ts");
    console.log(JSON.stringify(await takeLock(${JSON.stringify(path)})));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said] = await once(child.stdout, "data");
  const kill = async () => {
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return { pid: child.pid, said: JSON.parse(String(said)), kill };
}

test("one holds it, others learn who, and a killed one holds it no longer", async () => {
  const path = join(folder, "start.sock");
  const first = await holder(path);
  expect(first.said).toBe("taken");
  expect(await takeLock(path)).toEqual({ pid: String(first.pid) });
  await first.kill();
  const second = await holder(path);
  expect(second.said).toBe("stale");
  expect(await takeLock(path)).toEqual({ pid: String(second.pid) });
  await second.kill();
});
