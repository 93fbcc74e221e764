// Log lines: one event a line, in logfmt (time, level, message, then key=value), on standard error.

const LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LEVELS)[number];
type Fields = Record<string, unknown>;

let threshold = LEVELS.indexOf("info");

/** Sets the lowest level that is written: debug, info, warn or error. */
export function setLogLevel(level: LogLevel): void {
  threshold = LEVELS.indexOf(level);
}

export const log = {
  debug: (message: string, fields?: Fields) => write("debug", message, fields),
  info: (message: string, fields?: Fields) => write("info", message, fields),
  warn: (message: string, fields?: Fields) => write("warn", message, fields),
  error: (message: string, fields?: Fields) => write("error", message, fields),
};

/** The message of anything that can be thrown, in one line. Postgres errors bring their SQLSTATE along. */
export function reason(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reason).join("; ");
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error && typeof error.code === "string" ? ` (${error.code})` : "";
  return (error.message || error.name).replace(/\s+/g, " ") + code;
}

function write(level: LogLevel, message: string, fields: Fields = {}): void {
  if (LEVELS.indexOf(level) < threshold) return;
  const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${quote(value)}`);
  process.stderr.write(`${new Date().toISOString()} ${level} ${message}${pairs.join("")}\n`);
}

function quote(value: unknown): string {
  const text = value instanceof Error ? reason(value) : typeof value === "string" ? value : JSON.stringify(value);
  return /^[^\s"=]+$/.test(text ?? "") ? text : JSON.stringify(text ?? null);
}
