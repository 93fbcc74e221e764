// The command line of npm run publish.

import { parseArgs } from "node:util";
import type { Format } from "./line.ts";
import { readDuration } from "./time.ts";
import { UsageError } from "./usage-error.ts";

export const HELP = `npm run publish -- [options] FILE...      sends a log to StackLens, as events on Kafka

  FILE               a log file, also gzipped (.gz); - reads standard input and follows it
  --service NAME     the service that wrote the log; needed for access logs, in NDJSON for events that name none
  --into-last 30m    maps the time span of the files onto the last 30 minutes (ms, s, m, h, d); else times stay
  --format FORMAT    auto (default), ndjson, common, combined
  --help             this text

  ndjson             one event a line, as docs/events.md says
  common, combined   access logs of nginx and Apache; a last column is taken for the time that the request took:
                     in seconds with a decimal point ($request_time), a whole number in microseconds (%D)

  KAFKA_BROKERS names the Kafka (127.0.0.1:19092), INGEST_TOPIC the topic (stacklens-analytics).
  Exit status: 0 all lines sent, 1 some could not be read or sent, 2 wrong command line or environment.

Examples
  npm run publish -- --service web --into-last 30m access.log
  tail -F /var/log/nginx/access.log | npm run publish -- --service web -
`;

export type Arguments = { files: string[]; format: Format; service?: string; intoLast?: number };

const FORMATS = ["auto", "ndjson", "common", "combined"] as const;

/** @throws UsageError; answers undefined where help is asked for. */
export function readArguments(args: string[]): Arguments | undefined {
  const { values, positionals: files } = parse(args);
  if (values.help) return undefined;
  const format = FORMATS.find((name) => name === values.format);
  if (!format) throw new UsageError(`--format is "${values.format}": use one of ${FORMATS.join(", ")}`);
  if (files.length === 0) throw new UsageError("no file named: name one, or - for standard input (--help says more)");
  const { service } = values;
  if (service !== undefined && (service.trim() === "" || service.length > 255))
    throw new UsageError("--service is a name of 1 to 255 characters");
  const intoLast = values["into-last"] === undefined ? undefined : readDuration(values["into-last"]);
  if (values["into-last"] !== undefined && intoLast === undefined)
    throw new UsageError(`--into-last is "${values["into-last"]}": use a length of time like 30m, 2h or 45s`);
  return { files, format, ...(service !== undefined && { service }), ...(intoLast !== undefined && { intoLast }) };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        service: { type: "string" },
        "into-last": { type: "string" },
        format: { type: "string", default: "auto" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split(/\.\s/)[0]} (--help shows all options)`);
  }
}
