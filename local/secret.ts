// The secret that signs tokens where JWT_SECRET is not set: made once, for this machine, under .local/.

import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FILE = fileURLToPath(new URL("../.local/jwt-secret", import.meta.url));

/** The secret of this machine; undefined before npm start has made one. */
export function readLocalSecret(): string | undefined {
  try {
    return readFileSync(FILE, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** The secret of this machine, made now where there is none. */
export function localSecret(): string {
  const known = readLocalSecret();
  if (known) return known;
  mkdirSync(fileURLToPath(new URL("../.local", import.meta.url)), { recursive: true });
  const secret = randomBytes(32).toString("hex");
  writeFileSync(FILE, `${secret}\n`, { mode: 0o600 });
  return secret;
}
