/** CLOCK_REALTIME and CLOCK_MONOTONIC at one moment, in nanoseconds. */
export interface ClockPair {
  readonly unixNs: bigint;
  readonly monotonicNs: bigint;
}

/** `precise`: may take up to a millisecond, to see the wall clock tick. Otherwise off by up to a millisecond. */
export type Clock = (precise: boolean) => ClockPair;

const NS_PER_MS = 1_000_000n;

/** This host's clocks. Node tells the wall clock in milliseconds only: at a tick it is exact. */
export const systemClock: Clock = (precise) => {
  let nowMs = Date.now();
  if (precise) {
    const before = nowMs;
    const giveUpNs = process.hrtime.bigint() + 5n * NS_PER_MS;
    while (nowMs === before && process.hrtime.bigint() < giveUpNs) nowMs = Date.now();
  }
  return { unixNs: BigInt(nowMs) * NS_PER_MS, monotonicNs: process.hrtime.bigint() };
};
