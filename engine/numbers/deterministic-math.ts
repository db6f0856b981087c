/**
 * Elementary functions built only from IEEE 754 operations whose results are exactly defined: +, -, *, /, square root and
 * rounding to whole numbers. The functions of Math may differ in their last bit between engines, releases and processors;
 * these give the same bits everywhere, and so does the plain device. The start of a prefix depends on that
 * (docs/STEP_LOG.md). Errors are a few units in the last place; series are summed from their smallest term.
 */
const bits = new DataView(new ArrayBuffer(8));

/** ln 2 and pi / 2 as sums: products of the first parts with whole numbers below 2^20 are exact. */
const ln2 = [0.6931471803691238, 1.9082149292705877e-10] as const;
const halfPi = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21] as const;

/** 2^k for -1022 <= k <= 1023. */
function powerOfTwo(k: number): number {
  bits.setBigUint64(0, BigInt(k + 1023) << 52n);
  return bits.getFloat64(0);
}

export function exp(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x > 709.79) return Infinity;
  if (x < -745.2) return 0;
  const k = Math.round(x / Math.LN2);
  const r = x - k * ln2[0] - k * ln2[1];
  let sum = 1;
  for (let n = 14; n > 0; n--) sum = 1 + (r * sum) / n;
  const half = Math.trunc(k / 2);
  return sum * powerOfTwo(half) * powerOfTwo(k - half);
}

/** ln x of a positive, finite number that is not subnormal. */
export function log(x: number): number {
  bits.setFloat64(0, x);
  let k = (bits.getUint16(0) >>> 4) - 1023;
  let m = x / powerOfTwo(k);
  if (m > Math.SQRT2) {
    m /= 2;
    k += 1;
  }
  // ln m = 2 artanh((m - 1) / (m + 1)), the argument below 0.172.
  const s = (m - 1) / (m + 1);
  const square = s * s;
  let sum = 0;
  for (let n = 23; n > 1; n -= 2) sum = square * (1 / n + sum);
  return k * ln2[0] + (k * ln2[1] + 2 * s * (1 + sum));
}

/** base^exponent for a positive base. */
export function pow(base: number, exponent: number): number {
  return exp(exponent * log(base));
}

export function tanh(x: number): number {
  const size = Math.abs(x);
  if (size < 0.02) {
    const square = x * x;
    return x * (1 - square * (1 / 3 - square * (2 / 15 - square * (17 / 315 - (square * 62) / 2835))));
  }
  const value = size > 22 ? 1 : 1 - 2 / (exp(2 * size) + 1);
  return x < 0 ? -value : value;
}

/** Radians, from -10^6 to 10^6. */
export function sin(x: number): number {
  return quarter(x, 0);
}

/** Radians, from -10^6 to 10^6. */
export function cos(x: number): number {
  return quarter(x, 1);
}

/** sin(x + turns * pi / 2). */
function quarter(x: number, turns: number): number {
  const k = Math.round(x / (Math.PI / 2));
  const r = x - k * halfPi[0] - k * halfPi[1] - k * halfPi[2];
  const quadrant = (((k + turns) % 4) + 4) % 4;
  const value = quadrant % 2 === 0 ? sinNear0(r) : cosNear0(r);
  return quadrant < 2 ? value : -value;
}

function sinNear0(r: number): number {
  let sum = 1;
  for (let n = 18; n > 0; n -= 2) sum = 1 - (r * r * sum) / (n * (n + 1));
  return r * sum;
}

function cosNear0(r: number): number {
  let sum = 1;
  for (let n = 19; n > 0; n -= 2) sum = 1 - (r * r * sum) / (n * (n + 1));
  return sum;
}
