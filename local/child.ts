// One process of npm start: its lines with its name in front, started again after a crash, gone when asked.

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { styleText } from "node:util";
import { endWithParent } from "./guard.ts";

const LONGEST_NAME = 8; // database
const BACKOFF_MS = [1_000, 2_000, 5_000, 10_000, 30_000];
const STEADY_MS = 60_000; // after a minute without a crash the backoff begins anew

export type Child = {
  name: string;
  /** Resolves when the process has sent "ready". */
  ready: Promise<void>;
  /** Resolves with how the process ended, if it does before `keep` is called and without `stop`. */
  ended: Promise<string>;
  /** From now on a crash is answered by a new start. */
  keep: () => void;
  /** Asks the process to end, and after `limitMs` makes it. */
  stop: (limitMs: number) => Promise<void>;
};

/** Writes a line under a name, as all lines of npm start are. */
export function say(name: string, line: string): void {
  process.stderr.write(`${styleText("cyan", name.padEnd(LONGEST_NAME), { stream: process.stderr })} | ${line}\n`);
}

/** Starts `node script args…` in a process group of its own: a Ctrl-C in the terminal must not reach it before its turn. */
export function startChild(name: string, [script, ...args]: string[], env: NodeJS.ProcessEnv): Child {
  const ready = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<string>();
  let child: ChildProcess;
  let kept = false;
  let stopping = false;
  let crashes = 0;

  const start = () => {
    const started = Date.now();
    child = spawn(process.execPath, [script!, ...args], {
      env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    endWithParent(child);
    for (const input of [child.stdout!, child.stderr!])
      createInterface({ input }).on("line", (line) => say(name, line));
    child.on("message", (message) => message === "ready" && ready.resolve());
    child.once("exit", async (status, signal) => {
      if (stopping) return;
      const how = signal ?? `status ${status}`;
      if (!kept) return ended.resolve(how);
      if (Date.now() - started > STEADY_MS) crashes = 0;
      const wait = BACKOFF_MS[Math.min(crashes++, BACKOFF_MS.length - 1)]!;
      say(name, `ended (${how}), starts again in ${wait / 1000} s`);
      await sleep(wait);
      if (!stopping) start();
    });
  };
  start();

  return {
    name,
    ready: ready.promise,
    ended: ended.promise,
    keep: () => {
      kept = true;
    },
    stop: async (limitMs) => {
      stopping = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
      await gone;
      clearTimeout(timer);
    },
  };
}
