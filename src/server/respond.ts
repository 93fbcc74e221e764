import type { ServerResponse } from "node:http";

/** Answers with JSON. */
export function json(response: ServerResponse, status: number, body: unknown): void {
  write(response, status, "application/json; charset=utf-8", `${JSON.stringify(body)}\n`);
}

/** Answers with text of a type. */
export function text(response: ServerResponse, status: number, body: string, type = "text/plain"): void {
  write(response, status, `${type}; charset=utf-8`, body);
}

function write(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    "Content-Type": type,
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store",
  });
  response.end(body);
}
