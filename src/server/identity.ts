// Who asks: a viewer without a token, else what the verified token (JWT) says. HS256 with JWT_SECRET, or the keys at JWKS_URL.

import type { IncomingMessage } from "node:http";
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from "jose";
import type { Config } from "../config.ts";
import { log } from "../log.ts";

export const ROLES = ["viewer", "operator"] as const;
export type Role = (typeof ROLES)[number];
/** `expires`: of the token, in epoch seconds. */
export type Identity = { role: Role; subject?: string; expires?: number };

/** What is wrong with a token, in one line for who sent it; 503 when it is we who cannot say. */
export class Unauthorized extends Error {
  readonly status: 401 | 503;
  constructor(message: string, status: 401 | 503 = 401) {
    super(message);
    this.status = status;
  }
}

const CLOCKS_DIFFER_S = 5;
const LONGEST_TIMER_MS = 2 ** 31 - 1; // 24 days
const KEYS_TIMEOUT_MS = 3_000;
const SUBJECT = /^[^\p{Cc}]{1,255}$/u; // it becomes a setting of Postgres and a column

/** Of an identity provider: public keys only, so that nobody signs by HS256 with what everybody knows. */
const PUBLIC_KEY_ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
];

/**
 * The function that says who sends an Authorization header. It throws Unauthorized for a token that is not valid: a token that
 * is wrong is an error, and not the same as none.
 */
export function identify(config: Config): (authorization: string | undefined) => Promise<Identity> {
  const verify = verifier(config);
  return async (authorization) => {
    if (authorization === undefined) return { role: "viewer" };
    const token = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+) *$/i.exec(authorization)?.[1];
    if (!token) throw new Unauthorized("the Authorization header is not `Bearer` and a JSON Web Token");
    if (!verify) throw new Unauthorized("this server takes no tokens: start it with JWT_SECRET or JWKS_URL");
    const { role, sub, exp } = await verify(token).catch((error) => Promise.reject(refusal(error)));
    if (role !== undefined && !ROLES.includes(role as Role))
      throw new Unauthorized(`the claim role of the token is ${JSON.stringify(role)}: it must be viewer or operator`);
    if (sub !== undefined && !SUBJECT.test(sub))
      throw new Unauthorized("the claim sub of the token must be 1 to 255 printable characters");
    return {
      role: (role as Role | undefined) ?? "viewer",
      ...(sub !== undefined && { subject: sub }),
      ...(exp !== undefined && { expires: exp }),
    };
  };
}

function verifier({ jwtSecret, jwksUrl, jwtIssuer, jwtAudience }: Config) {
  const options: JWTVerifyOptions = {
    clockTolerance: CLOCKS_DIFFER_S,
    requiredClaims: ["exp"], // a token that leaks must end by itself
    ...(jwtIssuer && { issuer: jwtIssuer }),
    ...(jwtAudience && { audience: jwtAudience }),
  };
  if (jwtSecret) {
    const key = new TextEncoder().encode(jwtSecret);
    return async (token: string): Promise<JWTPayload> =>
      (await jwtVerify(token, key, { ...options, algorithms: ["HS256"] })).payload;
  }
  if (jwksUrl) {
    const keys = createRemoteJWKSet(new URL(jwksUrl), { timeoutDuration: KEYS_TIMEOUT_MS });
    return async (token: string): Promise<JWTPayload> =>
      (await jwtVerify(token, keys, { ...options, algorithms: PUBLIC_KEY_ALGORITHMS })).payload;
  }
  return undefined;
}

function refusal(error: unknown): Unauthorized {
  if (error instanceof errors.JWTExpired) return new Unauthorized("the token has expired: get a new one");
  if (error instanceof errors.JWTClaimValidationFailed)
    return new Unauthorized(
      error.reason === "missing"
        ? `the token lacks the claim ${error.claim}`
        : `the claim ${error.claim} of the token is not what this server wants`,
    );
  if (
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys
  )
    return new Unauthorized("the token is not signed with a key of this server");
  if (error instanceof errors.JOSEAlgNotAllowed)
    return new Unauthorized("the token is signed by an algorithm that this server does not take");
  if (
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JOSENotSupported
  )
    return new Unauthorized("the token is not a JWT");
  log.warn("the keys at JWKS_URL cannot be read", { error });
  return new Unauthorized("the keys that tokens are verified with cannot be read at the moment: try again", 503);
}

/** Who sent a request, once it is verified. */
const known = new WeakMap<IncomingMessage, Identity>();

export function remember(request: IncomingMessage, identity: Identity): void {
  known.set(request, identity);
}

/** The least there is for a request that nobody has verified. */
export function identityOf(request: IncomingMessage | undefined): Identity {
  return (request && known.get(request)) ?? { role: "viewer" };
}

/** Calls back when the token of a request expires: what stays open longer than it ends with it. The answer calls that off. */
export function onExpiry(request: IncomingMessage, callback: () => void): () => void {
  const { expires } = identityOf(request);
  if (expires === undefined) return () => {};
  const timer = setTimeout(callback, Math.min(expires * 1000 - Date.now(), LONGEST_TIMER_MS)).unref();
  return () => clearTimeout(timer);
}
