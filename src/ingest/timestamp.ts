// RFC 3339 timestamps read from bytes: "2026-07-01T12:30:00.123456+02:00".

const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** The microseconds of the last second that `parseTimestamp` read. */
export let microseconds = 0;

/**
 * Epoch seconds of the timestamp in [at, end), its microseconds in `microseconds`; NaN when it is not one.
 * Digits past the microsecond are cut off, and a leap second is the first second of the next minute, as Postgres has it.
 */
export function parseTimestamp(bytes: Buffer, at: number, end: number): number {
  microseconds = 0;
  if (end - at < 20) return Number.NaN;
  const year = digits(bytes, at, 4);
  const month = digits(bytes, at + 5, 2);
  const day = digits(bytes, at + 8, 2);
  const hour = digits(bytes, at + 11, 2);
  const minute = digits(bytes, at + 14, 2);
  const second = digits(bytes, at + 17, 2);
  const separator = bytes[at + 10]!;
  if (
    year < 0 ||
    bytes[at + 4] !== 0x2d ||
    bytes[at + 7] !== 0x2d ||
    ((separator | 0x20) !== 0x74 && separator !== 0x20) ||
    bytes[at + 13] !== 0x3a ||
    bytes[at + 16] !== 0x3a ||
    month < 1 ||
    month > 12 ||
    day < 1 ||
    day > DAYS_IN_MONTH[month - 1]! + (month === 2 && isLeap(year) ? 1 : 0) ||
    hour < 0 ||
    hour > 23 ||
    minute < 0 ||
    minute > 59 ||
    second < 0 ||
    second > 60
  )
    return Number.NaN;

  let i = at + 19;
  if (bytes[i] === 0x2e) {
    const first = ++i;
    let scale = 100_000;
    while (i < end && bytes[i]! >= 0x30 && bytes[i]! <= 0x39) {
      microseconds += (bytes[i]! - 0x30) * scale;
      scale = scale === 1 ? 0 : scale / 10;
      i++;
    }
    if (i === first) return Number.NaN;
  }

  let offset = 0;
  if (i === end - 1 && (bytes[i]! | 0x20) === 0x7a) i++;
  else {
    const sign = bytes[i] === 0x2b ? 1 : bytes[i] === 0x2d ? -1 : 0;
    if (sign === 0 || i !== end - 6 || bytes[i + 3] !== 0x3a) return Number.NaN;
    const offsetHour = digits(bytes, i + 1, 2);
    const offsetMinute = digits(bytes, i + 4, 2);
    if (offsetHour < 0 || offsetHour > 23 || offsetMinute < 0 || offsetMinute > 59) return Number.NaN;
    offset = sign * (offsetHour * 60 + offsetMinute);
  }

  const minuteOfDay = hour * 60 + minute - offset;
  // A leap second is one in UTC only: 23:59:60Z.
  if (second === 60 && ((minuteOfDay % 1440) + 1440) % 1440 !== 1439) return Number.NaN;
  return daysSinceEpoch(year, month, day) * 86_400 + minuteOfDay * 60 + second;
}

function digits(bytes: Buffer, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) {
    const digit = bytes[i]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function daysSinceEpoch(year: number, month: number, day: number): number {
  const before = year - (month > 2 ? 0 : 1); // leap days of years before this one, and this one's once February is over
  return (
    (year - 1970) * 365 +
    Math.floor(before / 4) -
    Math.floor(before / 100) +
    Math.floor(before / 400) -
    477 +
    DAYS_BEFORE_MONTH[month - 1]! +
    day -
    1
  );
}
