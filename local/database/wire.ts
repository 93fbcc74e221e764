// The PostgreSQL wire protocol, version 3: cutting a stream into messages and making the ones that the gateway itself sends.

/** One message as it came: type byte, length, body. */
export type Message = Buffer;

/** Cuts a stream of chunks into whole messages; the rest of a chunk waits for the next one. Undefined: this is not the protocol. */
export function createSplitter(): (chunk: Buffer) => Message[] | undefined {
  let rest: Buffer[] = [];
  let have = 0;
  let need = 5;
  return (chunk) => {
    rest.push(chunk);
    have += chunk.length;
    if (have < need) return [];
    const bytes = rest.length === 1 ? chunk : Buffer.concat(rest, have);
    const messages: Message[] = [];
    let at = 0;
    need = 5;
    while (bytes.length - at >= 5) {
      const length = bytes.readInt32BE(at + 1) + 1;
      if (length < 5 || length > 1 << 30) return undefined;
      if (bytes.length - at < length) {
        need = length;
        break;
      }
      messages.push(bytes.subarray(at, at + length));
      at += length;
    }
    rest = at < bytes.length ? [bytes.subarray(at)] : [];
    have = bytes.length - at;
    return messages;
  };
}

/** The type of a message, as the letter that the protocol names it by. */
export const typeOf = (message: Message) => String.fromCharCode(message[0]!);

/** Builds a message from its type and its parts: text is null-terminated, numbers are 32 bit. */
export function message(type: string, ...parts: (string | number | Buffer)[]): Message {
  const body = Buffer.concat(
    parts.map((part) => {
      if (typeof part === "string") return Buffer.from(`${part}\0`);
      if (Buffer.isBuffer(part)) return part;
      const word = Buffer.alloc(4);
      word.writeInt32BE(part);
      return word;
    }),
  );
  const head = Buffer.alloc(5);
  head.write(type, "latin1");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

export const query = (sql: string) => message("Q", sql);
export const sync = message("S");
export const readyForQuery = (status: "I" | "T" | "E") => message("Z", Buffer.from(status));
export const commandComplete = (tag: string) => message("C", tag);

/** ErrorResponse. */
export function error(severity: "ERROR" | "FATAL", code: string, text: string): Message {
  return message("E", `S${severity}`, `V${severity}`, `C${code}`, `M${text}`, Buffer.from([0]));
}

/** The null-terminated text that begins at a place. */
export function textAt(bytes: Buffer, at: number): string {
  return bytes.toString("utf8", at, bytes.indexOf(0, at));
}

/** One field of an ErrorResponse or NoticeResponse: C is the code, M the text. */
export function field(message: Message, code: string): string | undefined {
  for (let at = 5; message[at]; at = message.indexOf(0, at) + 1) {
    if (message[at] === code.charCodeAt(0)) return textAt(message, at + 1);
  }
  return undefined;
}

/** The columns of a DataRow in text format. */
export function columns(row: Message): (string | null)[] {
  const values: (string | null)[] = [];
  let at = 7;
  for (let left = row.readInt16BE(5); left > 0; left--) {
    const length = row.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : row.toString("utf8", at, at + length));
    if (length > 0) at += length;
  }
  return values;
}
