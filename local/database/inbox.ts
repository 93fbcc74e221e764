// What a client has sent and nobody has read yet, as units of the protocol or, while a COPY reads it, as data.
import type { Socket } from "node:net";
import { type Message, typeOf } from "./wire.ts";

/** How many bytes may lie here before the client has to wait. */
export const inboxLimit = 1 << 20;

export function createInbox(socket: Socket) {
  const messages: Message[] = [];
  let bytes = 0;

  const typeAt = (place: number) => (messages[place] ? typeOf(messages[place]) : "");
  const take = (count: number): Message[] => {
    const taken = messages.splice(0, count);
    for (const part of taken) bytes -= part.length;
    if (bytes < inboxLimit && socket.isPaused()) socket.resume();
    return taken;
  };

  return {
    put(received: Message[]) {
      for (const part of received) {
        messages.push(part);
        bytes += part.length;
      }
      if (bytes > inboxLimit) socket.pause();
    },
    /** One unit, if it is complete: a simple query, everything up to Sync or Flush, or Terminate. */
    takeUnit(): Message[] | undefined {
      while (/[dcf]/.test(typeAt(0))) take(1); // the rest of a COPY that has failed
      if (/[QFX]/.test(typeAt(0))) return take(1);
      const end = messages.findIndex((part) => /[SH]/.test(typeOf(part)));
      return end < 0 ? undefined : take(end + 1);
    },
    /** Whether the client has taken its leave, and only wants what it has sent to be done. */
    terminates: () => typeAt(messages.length - 1) === "X",
    /** Data of a COPY, all there is, and whether it ends with it; Sync and Flush are ignored inside one. */
    takeData(): { data: Message[]; last: boolean } {
      let count = 0;
      while (/[dSH]/.test(typeAt(count))) count++;
      const last = /[cf]/.test(typeAt(count));
      return { data: take(last ? count + 1 : count).filter((part) => !/[SH]/.test(typeOf(part))), last };
    },
  };
}
