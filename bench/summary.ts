// The figures that README quotes: which figure of which benchmark, and what stands beside it.

type Line = { what: string; benchmark: string; name: string; yardstick?: { what: string; name: string } };

export const SUMMARY: Line[] = [];
