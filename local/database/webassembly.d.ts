// The few parts of WebAssembly that are used here; TypeScript's own types for it come only with the whole browser.
declare namespace WebAssembly {
  interface Module {
    readonly brand?: "Module";
  }
  interface Memory {
    readonly buffer: SharedArrayBuffer;
  }
  interface Global {
    value: number;
  }
  let Module: new (bytes: Uint8Array) => Module;
  const Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => Memory;
}
