"""Solve many random problems of many kinds and judge every answer: no success may be false.

python -P tests/ot/many_problems.py 10000
"""

import argparse
import contextlib
import importlib
from collections import Counter

import numpy as np

import solvers
from solvers.testing import check_transport

KINDS = (
    "random",
    "squared distances",
    "distances",
    "ties",
    "separable",
    "heavy tails",
    "offset",
    "large offset",
    "permutation",
    "float32",
    "constant",
)
WEIGHTS = ("uniform", "random", "zeros", "far apart", "specks", "too small to count", "mass 1000", "mass 1e-200")
SIZES = (1, 2, 3, 7, 16, 33, 64, 100)
REGS = (1.0, 0.1, 0.02, 5e-3, 1e-3, 1e-4, 1e-6)
TOLS = (1e-3, 1e-6, 1e-9, 1e-12, 1e-15)


def _cost(rng, kind, n, m):
    X, Y = rng.normal(size=(n, 1, 2)), rng.normal(size=(1, m, 2)) + 0.5
    return {
        "random": lambda: rng.random((n, m)),
        "squared distances": lambda: ((X - Y) ** 2).sum(-1),
        "distances": lambda: np.sqrt(((X - Y) ** 2).sum(-1)),
        "ties": lambda: np.abs(rng.integers(0, 6, (n, 1)) - rng.integers(0, 6, (1, m))).astype(float),
        "separable": lambda: rng.normal(size=(n, 1)) + rng.normal(size=m),
        "heavy tails": lambda: rng.lognormal(0, 3, (n, m)),
        "offset": lambda: rng.random((n, m)) + 1e5,
        "large offset": lambda: rng.random((n, m)) + 1e8,
        "permutation": lambda: (rng.permutation(max(n, m))[:n, None] % m != np.arange(m)).astype(float),
        "float32": lambda: rng.normal(size=(n, m)).astype(np.float32),
        "constant": lambda: np.full((n, m), 2.5),
    }[kind]()


def _weights(rng, kind, size):
    weights = rng.dirichlet(np.ones(size)) + 1e-12
    if kind == "uniform":
        return np.full(size, 1 / size)
    if kind == "zeros":
        weights[1:] *= rng.random(size - 1) < 0.6
    elif kind == "far apart":
        weights = 10.0 ** rng.uniform(-40, 0, size)
    elif kind in ("specks", "too small to count"):
        weights[1:] *= np.where(rng.random(size - 1) < 0.4, 1e-12 if kind == "specks" else 1e-310, 1.0)
    return weights / weights.sum() * {"mass 1000": 1000.0, "mass 1e-200": 1e-200}.get(kind, 1.0)


def problem(seed):
    """A problem and how to ask for it: C, a, b, keywords, call."""
    rng = np.random.default_rng(seed)
    n, m = (int(rng.choice(SIZES)) for _ in range(2))
    C, kind = _cost(rng, str(rng.choice(KINDS)), n, m), str(rng.choice(WEIGHTS))
    a, b = _weights(rng, kind, n), _weights(rng, kind, m)
    span = float(np.ptp(C.astype(float))) or 1.0
    keywords = {
        "reg": span * float(rng.choice(REGS)),
        "tol": float(rng.choice(TOLS)) * float(a.sum()),
        "norm": str(rng.choice(["l1", "l2", "linf"])),
        "max_iter": int(rng.choice([3, 300])),
    }
    return C, a, b * (a.sum() / b.sum()), keywords, str(rng.choice(["batch", "solve", *_methods()]))


def _methods():
    return [method.name for method in solvers.methods("ot") if "dense-cost" in method.capabilities]


def solve(C, a, b, keywords, call):
    """The result of a problem by the call that it names."""
    if call == "batch":
        return solvers.ot.solve_batch(C, a, b, **keywords)[0]
    return solvers.ot.solve(C, a, b, method=None if call == "solve" else call, **keywords)


def judge(seed):
    """(call, status) of a problem's result, and what is false in it, if anything."""
    C, a, b, keywords, call = problem(seed)
    result = solve(C, a, b, keywords, call)
    demands = {name: keywords[name] for name in ("reg", "tol", "norm")}
    try:
        check_transport(result, C, a, b, **demands, dtype=np.longdouble)
    except AssertionError as error:
        return (call, result.status.name), f"seed {seed}, {call}, shape {C.shape}, {demands}: {error}"
    return (call, result.status.name), None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.count)
    with contextlib.suppress(ImportError):
        seeds = importlib.import_module("tqdm").tqdm(seeds, mininterval=2)
    ends, false = Counter(), []
    for seed in seeds:
        end, what = judge(seed)
        ends[end] += 1
        false += [what] if what else []
    for (call, status), count in sorted(ends.items()):
        print(f"{call:>10} {status:<12} {count:6}")
    print(*false[:50], sep="\n")
    print(f"{len(false)} false claims in {sum(ends.values())} problems")
    raise SystemExit(bool(false))


if __name__ == "__main__":
    main()
