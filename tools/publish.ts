// npm run publish: sends a log file, or what is written to standard input, to Kafka as events.

import { KAFKA_BROKERS } from "../local/addresses.ts";
import { ConfigError, readConfig } from "../src/config.ts";
import { reason } from "../src/log.ts";
import { HELP, readArguments } from "./publish/arguments.ts";
import { openInput } from "./publish/input.ts";
import { lineReader } from "./publish/line.ts";
import { publish } from "./publish/publish.ts";
import { UsageError } from "./publish/usage-error.ts";

const LOCAL = { KAFKA_BROKERS, DATABASE_URL: "postgres://unused" }; // only Kafka is needed here

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : reason(error)}\n`);
  process.exitCode = error instanceof UsageError || error instanceof ConfigError ? 2 : 1;
}

async function main(): Promise<number> {
  const options = readArguments(process.argv.slice(2));
  if (!options) {
    process.stdout.write(HELP);
    return 0;
  }
  const config = readConfig({ ...LOCAL, ...process.env });
  const inputs = options.files.map(openInput);
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort()).once("SIGTERM", () => stop.abort());
  return publish({
    config,
    inputs,
    read: lineReader(options.format, options.service),
    intoLast: options.intoLast,
    signal: stop.signal,
  });
}
