// Why a message is not an event: the reason codes of analytics.rejected_events, and how the decoder stops at one.

/** Reason codes; docs/events.md says what each means. */
export type RejectReason =
  | "empty_message"
  | "too_large"
  | "invalid_utf8"
  | "invalid_json"
  | "not_an_object"
  | "too_deep"
  | "invalid_text"
  | "invalid_number"
  | "missing_field"
  | "invalid_field"
  | "too_late"
  | "too_early"
  | "database_error";

/** What `reject` throws. Not an Error: a stack trace would cost more than decoding the message did. */
export class Rejection {
  readonly reason: RejectReason;
  readonly detail: string;

  constructor(reason: RejectReason, detail: string) {
    this.reason = reason;
    this.detail = detail;
  }
}

/** Ends the decoding of a message. */
export function reject(reason: RejectReason, detail: string): never {
  throw new Rejection(reason, detail);
}

const SHOWN_BYTES = 8192;

/** A message as text that Postgres can keep: at most 8 KiB, U+FFFD for bytes that are not UTF-8, U+2400 for NUL. */
export function payloadText(value: Buffer | null): string | null {
  if (value === null) return null;
  return value.subarray(0, SHOWN_BYTES).toString("utf8").replaceAll("\0", "\u2400");
}
