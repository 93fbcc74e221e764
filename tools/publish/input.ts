// Where lines come from: files, also gzipped ones, and streams without an end. One chunk read is one batch of lines, so that a
// file is sent in large batches and a line that `tail -f` just wrote is sent at once.

import { closeSync, createReadStream, openSync, readSync, statSync } from "node:fs";
import { isatty } from "node:tty";
import { createGunzip } from "node:zlib";
import { MAX_LINE_LENGTH } from "./line.ts";
import { UsageError } from "./usage-error.ts";

const CHUNK_BYTES = 256 * 1024;

export type Input = {
  name: string;
  /** In bytes; none for a stream, which can be read only once. */
  size?: number;
  /** Batches of lines, with the bytes of the file that were read so far. */
  lines: (signal: AbortSignal) => AsyncGenerator<{ lines: string[]; bytes: number }>;
};

/** Opens `path`, or standard input for `-`. */
export function openInput(path: string): Input {
  if (path === "-") {
    if (isatty(0)) process.stderr.write("reading standard input, until Ctrl-D\n");
    return { name: "standard input", lines: (signal) => split(process.stdin, () => 0, signal) };
  }
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw new UsageError(`${path}: no such file`);
  if (stat.isDirectory()) throw new UsageError(`${path} is a folder: name the files in it`);
  const zipped = stat.isFile() && isGzip(path);
  const lines: Input["lines"] = (signal) => {
    const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
    if (!zipped) return split(file, () => file.bytesRead, signal);
    const unzipped = createGunzip({ chunkSize: CHUNK_BYTES });
    file.on("error", (error) => unzipped.destroy(error));
    unzipped.on("error", (error) => {
      error.message = `${path} is damaged or cut off: ${error.message}`;
    });
    return split(file.pipe(unzipped), () => file.bytesRead, signal);
  };
  return stat.isFile() ? { name: path, size: stat.size, lines } : { name: path, lines };
}

/** By the first two bytes: names lie. */
function isGzip(path: string): boolean {
  const file = openSync(path, "r");
  try {
    const magic = Buffer.alloc(2);
    return readSync(file, magic) === 2 && magic.readUInt16BE() === 0x1f8b;
  } finally {
    closeSync(file);
  }
}

/** Cuts a stream into lines. Of a line over the limit only as much is kept as shows that it is over it. */
async function* split(stream: NodeJS.ReadableStream, bytesRead: () => number, signal: AbortSignal) {
  const stop = () => (stream as unknown as { destroy: () => void }).destroy();
  signal.addEventListener("abort", stop, { once: true });
  stream.setEncoding("utf8");
  let rest = "";
  try {
    for await (const chunk of stream as AsyncIterable<string>) {
      const lines = chunk.split("\n");
      lines[0] = rest + lines[0];
      rest = lines.pop()!;
      if (rest.length > MAX_LINE_LENGTH) rest = rest.slice(0, MAX_LINE_LENGTH + 1);
      if (lines.length > 0) yield { lines, bytes: bytesRead() };
      if (signal.aborted) return;
    }
    if (rest !== "") yield { lines: [rest], bytes: bytesRead() };
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
