// What processes of this machine have used so far, from /proc; undefined where there is none.

import { readFileSync } from "node:fs";

const TICKS_A_SECOND = 100; // USER_HZ, the same on every Linux

/** User and system time in seconds, of processes together that run a program whose command line matches. */
export function cpuSeconds(pids: number[], commandLine: RegExp): number | undefined {
  let sum = 0;
  for (const pid of pids) {
    if (!commandLine.test(read(pid, "cmdline") ?? "")) return undefined;
    const fields = read(pid, "stat")!
      .replace(/^.*\) /s, "")
      .split(" ");
    sum += (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
  }
  return pids.length > 0 ? sum : undefined;
}

/** Resident memory in MB, now and at most. */
export function memory(pid: number): { now: number; peak: number } | undefined {
  const status = read(pid, "status");
  if (status === undefined) return undefined;
  const megabytes = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  return { now: megabytes("VmRSS"), peak: megabytes("VmHWM") };
}

function read(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return undefined;
  }
}
