// What Postgres writes as text, as a value of JSON: numbers, booleans, JSON and arrays as such, times in ISO 8601, the rest as text.

import pg from "pg";

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** What pg_type says about a column. */
export type Type = { name: string; oid: number; element: number; category: string };

const {
  BOOL,
  INT2,
  INT4,
  INT8,
  OID,
  FLOAT4,
  FLOAT8,
  NUMERIC,
  JSON: JSON_TYPE,
  JSONB,
  TIMESTAMP,
  TIMESTAMPTZ,
} = pg.types.builtins;

// Its types say another form than it has.
const arrays = pg.types.arrayParser as unknown as {
  create: (text: string, entry: (text: string) => Json) => { parse: () => Json[] };
};

/** How to read a column of a type. NULL is not asked about. */
export function reader({ oid, element, category }: Type): (text: string) => Json {
  const scalar = SCALARS.get(category === "A" ? element : oid) ?? ((text) => text);
  if (category !== "A") return scalar;
  return (text) => arrays.create(text, scalar).parse();
}

const SCALARS = new Map<number, (text: string) => Json>([
  [BOOL, (text) => text === "t"],
  ...[INT2, INT4, INT8, OID, FLOAT4, FLOAT8, NUMERIC].map((oid) => [oid, number] as const),
  [JSON_TYPE, (text) => JSON.parse(text)],
  [JSONB, (text) => JSON.parse(text)],
  [TIMESTAMP, iso],
  [TIMESTAMPTZ, iso],
]);

/** JSON has no NaN and no infinity, and integers beyond 2^53 lose digits in JavaScript: those stay text. */
function number(text: string): Json {
  const value = Number(text);
  const exact = Number.isFinite(value) && (Number.isSafeInteger(value) || !/^-?\d+$/.test(text));
  return exact ? value : text;
}

/** 2026-01-31 12:00:00.5+00 as 2026-01-31T12:00:00.5Z; infinity and years B.C. as they are. */
function iso(text: string): string {
  return text.replace(
    /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(\+00)?$/,
    (_, day, time, utc) => `${day}T${time}${utc ? "Z" : ""}`,
  );
}
