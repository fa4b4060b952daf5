"""Train a net: ``python -m solvers.linalg.train --arch multilevel --minutes 30 --out w.npz`` (extra [train]).

Of ``--arch dcdm`` the file serves ``solvers.linalg.LearnedDirection(shape, "w.npz")``, of ``--arch multilevel``
``solvers.linalg.multilevel(op, weights="w.npz")``. With ``--steps`` a run is repeatable: the same seed and number of
threads give the same weights; ``--minutes`` looks first how many steps they are, and says so.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: By dimension: cells a side, samples a step, validations in all, the part of the steps at half the size.
SIZES, BATCHES, VALIDATIONS, EARLY = {2: 64, 3: 32}, {2: 8, 3: 4}, {2: 16, 3: 10}, {2: 0.5, 3: 0.7}

#: Of multilevel: the smallest grids of the training, a quarter as wide, must have a coarser one.
LEAST_HIERARCHY = 24


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m solvers.linalg.train",
        description="Train the learned direction of the method dcdm, or the learned corrections of the multilevel one.",
    )
    parser.add_argument("--arch", choices=["dcdm", "multilevel"], default="dcdm", help="the net")
    parser.add_argument("--dim", type=int, choices=[2, 3], help="dcdm: dimensions of the grids (2)")
    parser.add_argument(
        "--size", type=_at_least(8), help="cells a side (64 in 2-D, 32 in 3-D; multilevel: in 2-D, 2^k or 3 2^k)"
    )
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=_minutes, help="about how long")
    length.add_argument("--steps", type=_at_least(1), help="exactly how long, for a repeatable run")
    parser.add_argument("--seed", type=_at_least(0, 2**63 - 1), default=0)
    parser.add_argument("--threads", type=_at_least(1), default=1)
    parser.add_argument("--out", type=_file, required=True, help="the file of weights (.npz)")
    chosen = parser.parse_args(arguments)
    if chosen.arch == "multilevel" and chosen.dim:
        parser.error("--dim is for dcdm: a net of multilevel is trained on grids of two and three dimensions")
    if chosen.arch == "multilevel" and chosen.size and not _halves(chosen.size):
        parser.error(f"--size must be 2^k or 3 2^k, from {LEAST_HIERARCHY} on, for multilevel, not {chosen.size}")
    dim = chosen.dim or 2
    try:
        import torch
        from tqdm import tqdm
    except ImportError as error:
        print(f"training needs {error.name}: pip install 'solvers-toolkit[train]'", file=sys.stderr)
        return 1
    torch.set_num_threads(chosen.threads)
    from . import _training, _training_hierarchy

    kind: Any
    training: Any
    if chosen.arch == "multilevel":
        kind = _training_hierarchy
        training = kind.Training(chosen.size or SIZES[2], chosen.steps or 1, chosen.seed)
    else:
        kind = _training
        training = kind.Training(
            dim, chosen.size or SIZES[dim], chosen.steps or 1, chosen.seed,
            batch=BATCHES[dim], validations=VALIDATIONS[dim], early=EARLY[dim],
        )  # fmt: skip
    if chosen.minutes is not None:
        training = kind.lasting(60 * chosen.minutes, training)
        print(f"{training.steps} steps")
    with tqdm(total=training.steps + 1, unit="step") as bar:

        def report(text: str) -> None:
            bar.set_description(text, refresh=False)
            bar.update()

        weights = kind.train(training, report, lambda best: best.save(chosen.out))
    weights.save(chosen.out)
    print(f"{chosen.out}: {chosen.out.stat().st_size} bytes, training {weights.fingerprint}")
    return 0


def _halves(size: int) -> bool:
    """Whether the training's hierarchies, which are of even sizes alone, come to an end."""
    return size >= LEAST_HIERARCHY and size // (size & -size) in (1, 3)


def _minutes(value: str) -> float:
    minutes = float(value)
    if not 0 < minutes < math.inf:
        raise argparse.ArgumentTypeError(f"must be positive, not {value}")
    return minutes


def _file(value: str) -> Path:
    """Where the weights go: what is wrong with it is said before the training."""
    path = Path(value)
    if path.suffix != ".npz":
        raise argparse.ArgumentTypeError(f"must end in .npz, not {value}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no directory {path.parent}")
    return path


def _at_least(low: int, most: float = math.inf) -> Callable[[str], int]:
    def whole(text: str) -> int:
        value = int(text)
        if not low <= value <= most:
            raise argparse.ArgumentTypeError(f"must be at least {low}, not {value}" if value < low else "is too large")
        return value

    return whole


if __name__ == "__main__":
    sys.exit(main())
