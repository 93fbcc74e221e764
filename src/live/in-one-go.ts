import type { Writable } from "node:stream";

/** What is written until the process does something else goes out in one system call, which costs more than a result itself. */
export function inOneGo(stream: Writable): void {
  if (stream.writableCorked > 0) return;
  stream.cork();
  process.nextTick(() => stream.uncork());
}
