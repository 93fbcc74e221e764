// What every entry point does: run, stop on the first signal, leave at once on the second, say why in one line.

import { type Config, ConfigError, readConfig } from "./config.ts";
import { log, reason, setLogLevel } from "./log.ts";

const STOP_LIMIT_MS = 4_500; // npm start promises that everything is gone within 5 s

type Stop = () => Promise<void>;

/**
 * Runs a process: reads the configuration, starts, and on SIGINT or SIGTERM calls the function that `start` returned.
 * Exit status: 0 after a clean stop, 1 after a failure, 2 for a wrong environment.
 */
export async function run(name: string, start: (config: Config) => Promise<Stop>): Promise<void> {
  let stop: Stop | undefined;
  let stopping = false;

  const onSignal = async (signal: NodeJS.Signals) => {
    if (stopping) process.exit(1);
    stopping = true;
    log.info(`${name} stopping`, { signal });
    setTimeout(() => {
      log.warn(`${name} did not stop in time`);
      process.exit(1);
    }, STOP_LIMIT_MS).unref();
    try {
      await stop?.();
      process.exit(0);
    } catch (error) {
      log.error(`${name} did not stop cleanly`, { error });
      process.exit(1);
    }
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);

  try {
    const config = readConfig();
    setLogLevel(config.logLevel);
    stop = await start(config);
    if (stopping) return;
    log.info(`${name} ready`);
    process.send?.("ready"); // to npm start
  } catch (error) {
    if (error instanceof ConfigError) {
      process.stderr.write(`${error.message}\n`);
      process.exit(2);
    }
    log.error(`${name} failed: ${reason(error)}`);
    process.exit(1);
  }
}
