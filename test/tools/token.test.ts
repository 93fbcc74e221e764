import { jwtVerify } from "jose";
import { expect, test } from "vitest";
import { token } from "../../tools/token.ts";

const env = { JWT_SECRET: "a secret of 32 characters or more" };
const read = async (words: string[], more = {}) => {
  const { payload } = await jwtVerify(
    await token(words, { ...env, ...more }),
    new TextEncoder().encode(env.JWT_SECRET),
  );
  return payload;
};

test("a token says role, name and end", async () => {
  const { role, sub, iat, exp, iss, aud } = await read(["operator", "--sub", "ada", "--for", "30m"]);
  expect({ role, sub, seconds: exp! - iat!, iss, aud }).toEqual({ role: "operator", sub: "ada", seconds: 1800 });
});

test("it is for 8 hours and for the user of this machine unless told otherwise, and has issuer and audience of the server", async () => {
  const { sub, iat, exp, iss, aud } = await read(["viewer"], { JWT_ISSUER: "me", JWT_AUDIENCE: "you" });
  expect(sub).toMatch(/./);
  expect({ seconds: exp! - iat!, iss, aud }).toEqual({ seconds: 8 * 3600, iss: "me", aud: "you" });
});

test.each([
  [[], env, "no role is given: npm run token -- operator|viewer [--sub name] [--for 8h]"],
  [["admin"], env, '"admin" is no role'],
  [["operator", "viewer"], env, '"operator viewer" is no role'],
  [["operator", "--for", "8"], env, '--for is "8": use a number of s, m, h or d, at most 365d'],
  [["operator", "--for", "366d"], env, "at most 365d"],
  [["operator", "--until", "1"], env, "--until"],
  [["operator"], { ...env, JWKS_URL: "https://x" }, "tokens come from your identity provider"],
])("%j is refused in one line", async (words, environment, message) => {
  await expect(token(words, environment)).rejects.toThrow(message);
});
