"""Makes exact.sha256: engine/exact.ts a second time, in CPython's floats. python3 tests/golden/exact.py > tests/golden/exact.sha256"""

import hashlib
import math
import struct

LN2 = (0.6931471803691238, 1.9082149292705877e-10)
HALF_PI = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21)
THIRD_PARTS = (1 / 3, 2 / 15, 17 / 315)


def nearest(x):
    """Whole number, halves up."""
    return math.floor(x + 0.5)


def exp(x):
    if x < -745.2:
        return 0.0
    k = nearest(x / math.log(2))
    r = x - k * LN2[0] - k * LN2[1]
    total = 1.0
    for n in range(14, 0, -1):
        total = 1 + (r * total) / n
    half = math.trunc(k / 2)
    return total * math.ldexp(1, half) * math.ldexp(1, k - half)


def log(x):
    m, k = math.frexp(x)
    m, k = 2 * m, k - 1
    if m > math.sqrt(2):
        m, k = m / 2, k + 1
    s = (m - 1) / (m + 1)
    square = s * s
    total = 0.0
    for n in range(23, 1, -2):
        total = square * (1 / n + total)
    return k * LN2[0] + (k * LN2[1] + 2 * s * (1 + total))


def tanh(x):
    if abs(x) < 0.02:
        square = x * x
        a, b, c = THIRD_PARTS
        return x * (1 - square * (a - square * (b - square * (c - (square * 62) / 2835))))
    value = 1.0 if abs(x) > 22 else 1 - 2 / (exp(2 * abs(x)) + 1)
    return -value if x < 0 else value


def quarter(x, turns):
    k = nearest(x / (math.pi / 2))
    r = x - k * HALF_PI[0] - k * HALF_PI[1] - k * HALF_PI[2]
    place = (k + turns) % 4
    total = 1.0
    for n in range(18 if place % 2 == 0 else 19, 0, -2):
        total = 1 - (r * r * total) / (n * (n + 1))
    value = r * total if place % 2 == 0 else total
    return value if place < 2 else -value


functions = (
    exp,
    log,
    tanh,
    lambda x: quarter(x, 0),
    lambda x: quarter(x, 1),
    lambda x: exp(-x * log(1e6)),
)
values = [function((i + 1) * 0.01) for function in functions for i in range(2000)]
print(hashlib.sha256(struct.pack(f"<{len(values)}d", *values)).hexdigest())
