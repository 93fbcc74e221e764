// Waiting for a slow reader.

import { once } from "node:events";
import type { Writable } from "node:stream";

/** Once there is room for more in a stream, or nobody is there any more; it leaves no listener behind. */
export async function drained(stream: Writable): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race(["drain", "close"].map((event) => once(stream, event, { signal: over.signal })));
  } finally {
    over.abort(); // takes the other listener away
  }
}
