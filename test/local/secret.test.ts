import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { localSecret, readLocalSecret } from "../../local/secret.ts";
import { readConfig } from "../../src/config.ts";

const folder = mkdtempSync(join(tmpdir(), "stacklens-test-secret-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("the secret of a machine is made once, for its user alone, and long enough for the server", () => {
  const file = join(folder, ".local", "jwt-secret");
  expect(readLocalSecret(file)).toBeUndefined();
  const secret = localSecret(file);
  expect([localSecret(file), readLocalSecret(file)]).toEqual([secret, secret]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const env = { DATABASE_URL: "postgres://x/x", KAFKA_BROKERS: "x:1", JWT_SECRET: secret };
  expect(readConfig(env).jwtSecret).toBe(secret);
});
