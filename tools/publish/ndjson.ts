// One line of NDJSON is an event already: the ingester's own decoder says whether it reads it, and what its time is.

import { eventTime, writeEvent } from "../../src/ingest/event.ts";
import { Rejection } from "../../src/ingest/reject.ts";
import { RowBuffer } from "../../src/ingest/row-buffer.ts";
import type { Reading } from "./line.ts";

const ANY_TIME = { oldest: Number.NEGATIVE_INFINITY, newest: Number.POSITIVE_INFINITY };
const scratch = new RowBuffer();

/** Reads an event; `service` is for those that name none. A string says why the ingester would reject it. */
export function readJsonLine(line: string, service: string | undefined): Reading | string {
  const why = refusal(line);
  if (why === undefined) return { time: eventTime, raw: line };
  if (service === undefined || !why.startsWith("service")) return why;
  const event = { ...(JSON.parse(line) as Record<string, unknown>), service };
  return refusal(JSON.stringify(event)) ?? { time: eventTime, event };
}

function refusal(line: string): string | undefined {
  scratch.at = 0;
  try {
    writeEvent(scratch, Buffer.from(line), ANY_TIME);
  } catch (error) {
    if (error instanceof Rejection) return error.detail;
    throw error;
  }
}
