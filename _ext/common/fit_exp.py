"""Derive the polynomial coefficients of expcore.h and print them as C tables.

Run as ``python _ext/common/fit_exp.py`` (needs mpmath). The fits are near-minimax (Chebyshev)
fits of the analytic remainder, so that the leading coefficients stay exact:

* ``e^t  = 1 + t + t^2 q(t)``   on |t| <= 1.0005 ln2/2, or ln2/32 beside a table   (softmax family)
* ``2^t  = 1 + t r(t)``         on |t| <= 1/2, or from 0 to 1/16 beside a table (optimal transport works in base 2)

All but one of the fits of e^t are free to be off by a common factor, of 2e-9 in float32 and 1e-17 in float64 at most;
so is the shortest of 2^t, by 5e-15.
The printed error is that of the rounded coefficients, measured in 60-digit arithmetic. Then come the tables of
2^(k/16): the bits of each, k/16 taken off the exponent field, and what its rounding left, relative to it; at last the
short ones, and the logarithm of what their rounding left.
"""

import struct

import mpmath as mp

mp.mp.dps = 60


def rounded(value, bits):
    """Round to float32 or float64."""
    return float(value) if bits == 64 else struct.unpack("f", struct.pack("f", float(value)))[0]


def fit(function, assemble, low, high, degree, bits):
    coefficients = mp.chebyfit(function, [low, high], degree + 1)[::-1]
    coefficients = [rounded(c, bits) for c in coefficients]
    grid = [low + (high - low) * mp.mpf(k) / 400 for k in range(401)]
    error = max(abs(assemble(t, mp.polyval([mp.mpf(c) for c in coefficients[::-1]], t))) for t in grid if t)
    return coefficients, error


def report(title, coefficients, error):
    print(f"/* {title}; relative error of the fit {mp.nstr(error, 3)} */")
    print(",\n".join(f"    {float(c).hex()}" for c in coefficients))


#: Of a short power, by the width of the type that it is kept in: see SHORT_BITS of expcore.h.
SHORT_BITS = {32: 7, 64: 16}


def bits_of_root(root, k, bits):
    """Of root, near 2^(k/16), with k/16 taken off the exponent field."""
    width, code, mantissa = ("I", "f", 23) if bits == 32 else ("Q", "d", 52)
    (pattern,) = struct.unpack(width, struct.pack(code, root))
    return f"0x{pattern - (k << (mantissa - 4)):0{bits // 4}x}"


def roots(bits):
    """ROOTS and ROOT_RESTS of one width."""
    for k in range(16):
        exact = mp.power(2, mp.mpf(k) / 16)
        root = rounded(exact, bits)
        print(f"    {bits_of_root(root, k, bits)}  {rounded(exact / mp.mpf(root) - 1, bits).hex()}")


def short_roots(bits):
    """SHORT_ROOTS and SHORT_LOGS of one width, the latter in full."""
    unit = mp.mpf(2) ** (1 - SHORT_BITS[bits])
    exact = [mp.power(2, mp.mpf(k) / 16) for k in range(16)]
    found = [mp.nint(root / unit) * unit for root in exact]
    return found, [mp.log(whole / root) for whole, root in zip(exact, found, strict=True)]


def fit_with_factor(half_width, degree, bits):
    """The coefficients of t^2 q(t) in e^t = (1 + t + t^2 q(t)) (1 + a tiny number)."""
    constant, *others = mp.chebyfit(mp.exp, [-half_width, half_width], degree + 1)[::-1]
    coefficients = [rounded(c / constant, bits) for c in others]
    assert coefficients[0] == 1
    return coefficients[1:], spread(coefficients[1:], half_width)


def spread(q, half_width):
    """Half the range of (1 + t + t^2 q(t)) / e^t: its error but for a common factor."""
    grid = [half_width * (mp.mpf(2 * k) / 400 - 1) for k in range(401)]
    errors = [mp.polyval([mp.mpf(c) for c in q[::-1]] + [1, 1], t) / mp.exp(t) for t in grid]
    return (max(errors) - min(errors)) / 2


def fit_from_zero(width, degree):
    """The coefficients of t r(t) in 2^t = (1 + t r(t)) (1 + a tiny number) for 0 <= t <= width, and half its range."""
    constant, *others = mp.chebyfit(lambda t: mp.power(2, t), [0, width], degree + 1)[::-1]
    coefficients = [rounded(c / constant, 64) for c in others]
    grid = [width * mp.mpf(k) / 400 for k in range(401)]
    errors = [(1 + t * mp.polyval([mp.mpf(c) for c in coefficients[::-1]], t)) / mp.power(2, t) for t in grid]
    return coefficients, (max(errors) - min(errors)) / 2


def fit_beside_half(half_width, degree, bits, nodes=120, rounds=60):
    """The same with t^2/2 exact, whose rounding to float32 would cost as much as the fit.

    Weighted least squares of the relative error; a weight grows with its error, until the largest are equal (Lawson).
    The last unknown is the common factor.
    """
    grid = [half_width * mp.cos(mp.pi * (k + mp.mpf(1) / 2) / nodes) for k in range(nodes)]
    rows = [mp.matrix([[t**k * mp.exp(-t) for k in range(3, degree + 1)] + [1]]) for t in grid]
    rest = [1 - (1 + t + t * t / 2) * mp.exp(-t) for t in grid]
    weights = [mp.mpf(1)] * nodes
    for _ in range(rounds):
        normal = sum((w * row.T * row for w, row in zip(weights, rows, strict=True)), mp.zeros(degree - 1))
        right = sum((w * f * row.T for w, f, row in zip(weights, rest, rows, strict=True)), mp.zeros(degree - 1, 1))
        found = mp.lu_solve(normal, right)
        errors = [abs(f - (row * found)[0]) for f, row in zip(rest, rows, strict=True)]
        largest = max(errors)
        weights = [w * (e / largest + mp.mpf("1e-6")) / sum(weights) for w, e in zip(weights, errors, strict=True)]
    coefficients = [0.5] + [rounded(c, bits) for c in list(found)[:-1]]
    return coefficients, spread(coefficients, half_width)


def main():
    half = mp.log(2) / 2 * mp.mpf("1.0005")
    q, error = fit(
        lambda t: (mp.exp(t) - 1 - t) / t**2 if t else mp.mpf(1) / 2,
        lambda t, q: (1 + t + t * t * q) / mp.exp(t) - 1,
        -half / 16,
        half / 16,
        4,  # 1 + t + t^2 q(t) has degree 6
        64,
    )
    report(f"e^t, float64, |t| <= {mp.nstr(half / 16, 3)}, degree 6", q, error)
    for fitted, bits, degree, half_e in (
        (fit_beside_half, 32, 6, half),
        (fit_with_factor, 64, 11, half),
        (fit_with_factor, 32, 3, half / 16),
        (fit_with_factor, 32, 3, half / 16 + max(abs(log) for log in short_roots(32)[1])),
    ):
        q, error = fitted(half_e, degree, bits)
        report(f"e^t but for a common factor, float{bits}, |t| <= {mp.nstr(half_e, 3)}, degree {degree}", q, error)
    half = mp.mpf(1) / 2
    for low, high, degree in ((-half, half, 11), (-half, half, 10), (mp.mpf(0), half / 8, 6)):
        r, error = fit(
            lambda t: (mp.power(2, t) - 1) / t if t else mp.log(2),
            lambda t, r: (1 + t * r) / mp.power(2, t) - 1,
            low,
            high,
            degree - 1,
            64,
        )
        report(f"2^t, {mp.nstr(low)} <= t <= {mp.nstr(high)}, degree {degree}", r, error)
    r, error = fit_from_zero(half / 8, 5)
    report(f"2^t but for a common factor, 0 <= t <= {mp.nstr(half / 8)}, degree 5", r, error)
    for bits in (32, 64):
        print(f"/* 2^(k/16), float{bits} */")
        roots(bits)
        print(f"/* 2^(k/16) in {SHORT_BITS[bits]} bits, float{bits} */")
        for k, (root, log) in enumerate(zip(*short_roots(bits), strict=True)):
            print(f"    {bits_of_root(float(root), k, bits)}  {rounded(log, bits).hex()}")


if __name__ == "__main__":
    main()
