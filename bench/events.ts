// Events as services send them: some 240 bytes of JSON, many users and addresses. The same for the same seed.

/** Makes `count` events as JSON texts; their times spread over the `seconds` before `until` (epoch ms). */
export function* makeEvents(count: number, until: number, seconds: number, seed = 1, services = 20): Generator<string> {
  const random = mulberry32(seed);
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)]!;
  const step = (seconds * 1000) / count;
  for (let n = 0; n < count; n++) {
    const failed = random() < 0.02;
    const address = Math.floor(random() * 2 ** 24);
    yield JSON.stringify({
      timestamp: Math.floor(until - seconds * 1000 + n * step),
      service: `service-${String(Math.floor(random() ** 2 * services)).padStart(2, "0")}`,
      level: failed ? "error" : "info",
      endpoint: pick(ENDPOINTS),
      status_code: failed ? 500 : 200,
      latency_ms: Math.round(Math.exp(3 + 1.2 * gauss(random)) * 1000) / 1000,
      request_id: `req-${n.toString(36)}-${Math.floor(random() * 2 ** 32).toString(36)}`,
      user_id: `user-${Math.floor(random() * 200_000)}`,
      source_ip: `10.${address >> 16}.${(address >> 8) & 255}.${address & 255}`,
      geo_country: pick(COUNTRIES),
      business_risk_score: Math.round(random() ** 4 * 1000) / 1000,
    });
  }
}

const ENDPOINTS = ["/", "/login", "/search", "/cart", "/checkout", "/api/v1/items", "/api/v1/orders", "/healthz"];
const COUNTRIES = ["DE", "FR", "US", "IN", "BR", "JP", "GB", "PL"];

/** A small seeded generator (mulberry32, public domain), so that runs compare. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Box and Muller's transform. */
function gauss(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
