// `npm run --silent token -- operator [--sub name] [--for 8h]`: prints a token for the server, signed with JWT_SECRET, or with the
// secret that npm start made for this machine.

import { userInfo } from "node:os";
import { parseArgs } from "node:util";
import { SignJWT } from "jose";
import { readLocalSecret } from "../local/secret.ts";
import { reason } from "../src/log.ts";
import { ROLES, type Role } from "../src/server/identity.ts";

const USAGE = "npm run token -- operator|viewer [--sub name] [--for 8h]";
const UNITS: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 };
const LONGEST_S = 365 * 86_400;

type Claims = {
  role: Role;
  subject: string;
  seconds: number;
  issuer?: string | undefined;
  audience?: string | undefined;
};

/** An HS256 token that is valid for that many seconds from now. */
export function signToken(secret: string, { role, subject, seconds, issuer, audience }: Claims): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const token = new SignJWT({ role })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(subject)
    .setIssuedAt(now)
    .setExpirationTime(now + seconds);
  if (issuer) token.setIssuer(issuer);
  if (audience) token.setAudience(audience);
  return token.sign(new TextEncoder().encode(secret));
}

/** @throws Error whose message is one line: what is wrong with the words or the environment, and the remedy. */
export async function token(words: string[], env: NodeJS.ProcessEnv): Promise<string> {
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: { sub: { type: "string" }, for: { type: "string", default: "8h" } },
  });
  const [role, ...more] = positionals;
  if (!ROLES.includes(role as Role) || more.length > 0)
    throw new Error(`${role === undefined ? "no role is given" : `"${positionals.join(" ")}" is no role`}: ${USAGE}`);
  const [, count, unit] = /^(\d+)([smhd])$/.exec(values.for) ?? [];
  const seconds = Number(count) * UNITS[unit ?? ""]!;
  if (!(seconds >= 1 && seconds <= LONGEST_S))
    throw new Error(`--for is "${values.for}": use a number of s, m, h or d, at most 365d`);
  if (env.JWKS_URL?.trim()) throw new Error("JWKS_URL is set: tokens come from your identity provider");
  const secret = env.JWT_SECRET?.trim() || readLocalSecret();
  if (!secret) throw new Error("JWT_SECRET is not set: set it as the server has it, or run npm start once");
  const subject = values.sub ?? userInfo().username;
  return signToken(secret, {
    role: role as Role,
    subject,
    seconds,
    issuer: env.JWT_ISSUER?.trim(),
    audience: env.JWT_AUDIENCE?.trim(),
  });
}

if (import.meta.main)
  try {
    console.log(await token(process.argv.slice(2), process.env));
  } catch (error) {
    console.error(`token: ${reason(error).replace(/ \(ERR_PARSE_ARGS\w+\)$/, `; ${USAGE}`)}`);
    process.exitCode = 2;
  }
