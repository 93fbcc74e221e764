// The main thread's hold on a worker: one call at a time goes in, its output comes back in pieces.
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { cancel, createMemory, timeouts } from "./wasm.ts";

/** What a call does before its unit: SQL, or a change of the logged-in role. */
export type Step = string | { oid: number; name: string };

export type Call = { before: Step[]; unit: Uint8Array } | { more: Uint8Array } | { close: true };

export type Report =
  | { ready: true }
  | { output: Uint8Array; done: boolean }
  | { hungry: true }
  | { refused: Uint8Array }
  | { closed: true }
  | { crashed: string };

export interface EngineData {
  directory: string;
  database: string;
  compiled: WebAssembly.Module;
  memory: WebAssembly.Memory;
  calls: MessagePort;
  /** Shared words: messages sent, output held (1), bytes of a COPY read. */
  shared: Int32Array;
  fsync: boolean;
  /** The new name of a database that is a copy of another one. */
  rename: string | undefined;
}

export interface Listener {
  output(bytes: Buffer): void;
  /** Postgres waits for more of the client's bytes. */
  hungry(): void;
  /** A step before the unit failed, so the unit did not run; the ErrorResponse. */
  refused(error: Buffer): void;
}

export type Engine = Awaited<ReturnType<typeof openEngine>>;

/** Opens a data directory, making a new database of it when it is empty. */
export async function openEngine(
  compiled: WebAssembly.Module,
  directory: string,
  database: string,
  fsync: boolean,
  rename?: string,
) {
  const memory = createMemory();
  const { port1, port2 } = new MessageChannel();
  const shared = new Int32Array(new SharedArrayBuffer(12));
  const worker = new Worker(new URL("worker.ts", import.meta.url), {
    workerData: { directory, database, compiled, memory, calls: port2, shared, fsync, rename } satisfies EngineData,
    transferList: [port2],
    // Recursion in WASM uses this stack as well as its own.
    resourceLimits: { stackSizeMb: 32 },
    stdout: true,
  });
  const send = (call: Call, bytes?: Uint8Array<ArrayBuffer>) => {
    port1.postMessage(call, bytes ? [bytes.buffer] : []);
    Atomics.add(shared, 0, 1);
    Atomics.notify(shared, 0);
  };

  const ready = Promise.withResolvers<void>();
  const crashed = Promise.withResolvers<string>();
  const closed = Promise.withResolvers<void>();
  let current: { listener: Listener; done: () => void; fail: (reason: Error) => void } | undefined;
  let ending = false;
  let sent = 0;
  const crash = (reason: string) => {
    ready.reject(new Error(reason));
    current?.fail(new Error(reason));
    if (!ending) crashed.resolve(reason);
  };
  worker.on("message", (report: Report) => {
    if ("output" in report) {
      const { buffer, byteOffset, length } = report.output;
      if (length > 0) current?.listener.output(Buffer.from(buffer, byteOffset, length));
      if (!report.done) return;
      const done = current?.done;
      current = undefined;
      done?.();
    } else if ("hungry" in report) current?.listener.hungry();
    else if ("refused" in report) current?.listener.refused(Buffer.from(report.refused));
    else if ("ready" in report) ready.resolve();
    else if ("closed" in report) closed.resolve();
    else crash(report.crashed);
  });
  worker.on("error", (reason) => crash(reason instanceof Error ? reason.message : String(reason)));
  worker.on("exit", () => {
    port1.close();
    crash("Postgres ended");
    closed.resolve();
  });

  await ready.promise;
  return {
    /** Runs one unit of the protocol; a second one must wait until the first is done. */
    run: (before: Step[], unit: Uint8Array, listener: Listener) =>
      new Promise<void>((done, fail) => {
        current = { listener, done, fail };
        const copy = new Uint8Array(unit); // a Buffer is a small part of a large one, which would go along
        send({ before, unit: copy }, copy);
      }),
    /** More bytes for a unit that waits for them. */
    more(more: Uint8Array) {
      sent += more.length;
      const copy = new Uint8Array(more);
      send({ more: copy }, copy);
    },
    /** How many of these bytes Postgres has not read yet. */
    unread: () => (sent - Atomics.load(shared, 2)) | 0,
    /** Lets Postgres wait with its output. */
    holdOutput(until: Promise<unknown>) {
      Atomics.store(shared, 1, 1);
      const release = () => {
        Atomics.store(shared, 1, 0);
        Atomics.notify(shared, 1);
      };
      until.then(release, release);
    },
    cancel: () => cancel(memory),
    timeouts: () => timeouts(memory),
    /** Shuts Postgres down in good order. */
    async close() {
      ending = true;
      send({ close: true });
      await closed.promise;
    },
    /** Ends the thread at once; committed rows are safe. */
    async kill() {
      ending = true;
      closed.resolve();
      current?.fail(new Error("Postgres was ended"));
      await worker.terminate();
    },
    /** Fulfilled with the reason when the thread has ended without being asked to. */
    crashed: crashed.promise,
  };
}
