// The secret that signs tokens where JWT_SECRET is not set: made once, for this machine, under .local/.

import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const FILE = fileURLToPath(new URL("../.local/jwt-secret", import.meta.url));

/** The secret of this machine; undefined before npm start has made one. */
export function readLocalSecret(file = FILE): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** The secret of this machine, made now where there is none. */
export function localSecret(file = FILE): string {
  const known = readLocalSecret(file);
  if (known) return known;
  mkdirSync(dirname(file), { recursive: true });
  const secret = randomBytes(32).toString("hex");
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  return secret;
}
