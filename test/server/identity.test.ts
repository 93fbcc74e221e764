// Tokens: who is let in as what, and the one line that who is not gets.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signToken } from "../../tools/token.ts";
import { type Api, post, SECRET, startApi } from "../graphql/api.ts";
import { type TestDatabase, testDatabase } from "../setup/services.ts";

const MINE = { role: "operator", subject: "ada", seconds: 60 } as const;
const WHO = `mutation { createSilence(input: { silence: { reason: "r", endsAt: "2100-01-01T00:00:00Z" } }) { silence { createdBy } } }`;

let db: TestDatabase;
let api: Api;
let strict: Api;

beforeAll(async () => {
  db = await testDatabase();
  api = await startApi(db.url);
  strict = await startApi(db.url, { jwtIssuer: "https://issuer.example", jwtAudience: "stacklens" });
});
afterAll(async () => {
  await Promise.all([api.stop(), strict.stop()]);
  await db.drop();
});

const createdBy = { data: { createSilence: { silence: { createdBy: "ada" } } } };
const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

test("no token is a viewer", async () => {
  expect(await post(api.url, { query: "{ services { totalCount } }" })).toEqual({
    status: 200,
    data: { services: { totalCount: 0 } },
  });
  expect((await post(api.url, { query: WHO })).errors).toMatchObject([{ extensions: { code: "FORBIDDEN" } }]);
});

test("a token of an operator writes in the name of its subject", async () => {
  expect(await post(api.url, { query: WHO }, await signToken(SECRET, MINE))).toMatchObject(createdBy);
});

test("a token of a viewer, or without a role, may not write", async () => {
  for (const role of ["viewer", undefined] as const) {
    const token = await signToken(SECRET, { ...MINE, role: role as "viewer" });
    expect((await post(api.url, { query: WHO }, token)).errors).toMatchObject([{ extensions: { code: "FORBIDDEN" } }]);
  }
});

describe("401, with one line, for", () => {
  const sign = (claims: Record<string, unknown>) =>
    new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(SECRET));
  const later = Math.floor(Date.now() / 1000) + 60;

  test.each<[string, string, () => Promise<string> | string]>([
    ["an expired token", "the token has expired: get a new one", () => signToken(SECRET, { ...MINE, seconds: -60 })],
    ["a token that never expires", "the token lacks the claim exp", () => sign({ role: "operator" })],
    ["another secret", "not signed with a key of this server", () => signToken(`another ${SECRET}`, MINE)],
    [
      "no signature",
      "an algorithm that this server does not take",
      () => `${encoded({ alg: "none" })}.${encoded({ role: "operator", exp: later })}.AA`,
    ],
    [
      "another algorithm",
      "an algorithm that this server does not take",
      () =>
        new SignJWT({ role: "operator", exp: later })
          .setProtectedHeader({ alg: "HS512" })
          .sign(new TextEncoder().encode(SECRET.repeat(2))),
    ],
    [
      "a role that is none",
      '"stacklens_owner": it must be viewer or operator',
      () => sign({ role: "stacklens_owner", exp: later }),
    ],
    ["a role that is no text", "it must be viewer or operator", () => sign({ role: ["operator"], exp: later })],
    ["a subject that is no name", "the claim sub of the token must be", () => sign({ sub: "a\0b", exp: later })],
    ["a token not valid yet", "the claim nbf", () => sign({ role: "operator", nbf: later, exp: later + 60 })],
    ["rubbish", "not a JWT", () => "aaaa.bbbb.cccc"],
  ])("%s", async (_name, message, token) => {
    const { status, errors, data } = await post(api.url, { query: "{ services { totalCount } }" }, await token());
    expect(errors).toMatchObject([
      { message: expect.stringContaining(message), extensions: { code: "UNAUTHENTICATED" } },
    ]);
    expect([status, data]).toEqual([401, undefined]);
  });

  test("another scheme", async () => {
    const response = await fetch(`${api.url}/graphql`, { method: "POST", headers: { Authorization: "Basic YTpi" } });
    expect([response.status, response.headers.get("www-authenticate")]).toEqual([401, 'Bearer error="invalid_token"']);
  });

  test("a server that takes none", async () => {
    const open = await startApi(db.url, { jwtSecret: undefined } as object);
    try {
      expect((await open.query("{ services { totalCount } }")).errors).toMatchObject([
        { message: "this server takes no tokens: start it with JWT_SECRET or JWKS_URL" },
      ]);
    } finally {
      await open.stop();
    }
  });
});

test("issuer and audience are checked where they are set", async () => {
  const ask = async (claims: { issuer?: string; audience?: string }) =>
    post(strict.url, { query: WHO }, await signToken(SECRET, { ...MINE, ...claims }));
  const right = { issuer: "https://issuer.example", audience: "stacklens" };
  expect(await ask(right)).toMatchObject(createdBy);
  expect((await ask({ ...right, issuer: "https://other.example" })).errors![0]!.message).toContain("claim iss");
  expect((await ask({ ...right, audience: "other" })).errors![0]!.message).toContain("claim aud");
  expect((await ask({})).errors![0]!.message).toBe("the token lacks the claim iss");
});

test("the keys of an identity provider are read from JWKS_URL, and its being away is no verdict on a token", async () => {
  const [first, second] = await Promise.all([generateKeyPair("RS256"), generateKeyPair("ES256")]);
  const keys = [{ ...(await exportJWK(first.publicKey)), kid: "first", alg: "RS256" }];
  let healthy = true;
  const provider = createServer((_request, response) => {
    response.writeHead(healthy ? 200 : 500, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ keys }));
  });
  await once(provider.listen(0, "127.0.0.1"), "listening");
  const jwksUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/keys`;
  const federated = await startApi(db.url, { jwtSecret: undefined, jwksUrl } as object);
  const sign = (key: typeof first.privateKey, alg: string, kid: string) =>
    new SignJWT({ role: "operator", sub: "ada" }).setProtectedHeader({ alg, kid }).setExpirationTime("1m").sign(key);
  try {
    healthy = false;
    expect(await post(federated.url, { query: WHO }, await sign(first.privateKey, "RS256", "first"))).toMatchObject({
      status: 503,
      errors: [
        { message: expect.stringContaining("cannot be read at the moment"), extensions: { code: "UNAVAILABLE" } },
      ],
    });
    healthy = true;
    expect(await post(federated.url, { query: WHO }, await sign(first.privateKey, "RS256", "first"))).toMatchObject(
      createdBy,
    );
    // HS256 with the public key for a secret is the classic forgery.
    const forged = await signToken(JSON.stringify(keys[0]), MINE);
    expect((await post(federated.url, { query: WHO }, forged)).status).toBe(401);
    expect((await post(federated.url, { query: WHO }, await sign(second.privateKey, "ES256", "second"))).status).toBe(
      401,
    );
  } finally {
    await federated.stop();
    provider.close();
  }
});
