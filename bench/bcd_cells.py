"""The cells of the benchmark of penalised models: a kind of problem on a set of data, how strong the penalty is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import bcd_data
from .bcd_data import Source
from .bcd_judge import KINDS

#: lam over lam_max.
SHARES = (1 / 10, 1 / 100, 1 / 1000)

#: Distances from the minimum, in units of F(0), at which solvers are compared.
TARGETS = (1e-6, 1e-10)
PATH_TARGETS = (1e-8,)

#: Points of a path.
STEPS = 100

#: Sets that a kind of problem takes, beside those whose targets do not fit.
_GROUPED = ("colon-cancer", "madelon.t", "splice", "digits", "housing^4", "abalone^5")
_FEW = ("a9a", "w8a", "random-1000x5000", "random-20000x500", "text")
_PATHS = ("colon-cancer", "madelon.t", "digits", "diabetes", "a9a", "w8a", "phishing^2", "housing^4", "text")


@dataclass(frozen=True)
class Cell:
    """A problem; each of its targets is a row of the report."""

    kind: str
    source: Source
    share: float

    @property
    def steps(self) -> int:
        return STEPS if self.kind == "path" else 1

    @property
    def targets(self) -> tuple[float, ...]:
        return PATH_TARGETS if self.kind == "path" else TARGETS

    @property
    def name(self) -> str:
        strength = "" if self.kind == "nnls" else f"/{1 / self.share:g}"
        return f"{self.kind}:{self.source.name}{strength}"


def cells(kinds: Sequence[str] = (), data: Sequence[str] = (), quick: bool = False) -> list[Cell]:
    """All cells, those of one set of data together.

    `kinds` and `data` choose among them: kinds of problems; names of sets, "dense", "sparse", "small", "large", or
    "all", which adds the sets that are much like others.
    """
    sources = bcd_data.quick() if quick else bcd_data.SOURCES
    unknown = [name for name in kinds if name not in KINDS]
    unknown += [name for name in data if name not in (*sources, "dense", "sparse", "small", "large", "all")]
    if unknown:
        raise ValueError(
            f"there is no {', '.join(unknown)}: problems are {', '.join(KINDS)}; sets {', '.join(sources)}"
        )
    chosen = [source for source in sources.values() if _wanted(source, data)]
    return [cell for source in chosen for kind in kinds or KINDS for cell in _of(kind, source, quick)]


def _wanted(source: Source, data: Sequence[str]) -> bool:
    if not data:
        return source.size != "more"
    form = "dense" if source.dense else "sparse"
    return "all" in data or source.name in data or source.size in data or (form in data and source.size != "more")


def _of(kind: str, source: Source, quick: bool) -> Iterator[Cell]:
    if not fits(kind, source):
        return
    shares = SHARES[1:2] if quick else SHARES
    if kind in ("path", "nnls"):
        shares = SHARES[-1:]
    for share in shares:
        yield Cell(kind, source, share)


def fits(kind: str, source: Source) -> bool:
    """Whether there is such a problem with these data."""
    made_for_labels = source.name.startswith(("labels-", "text-labels", "tiny-labels", "tiny-text-labels"))
    if kind in ("l1-logistic", "l2-logistic"):
        return source.targets == "labels"
    if kind == "multinomial":
        return source.targets == "classes"
    if made_for_labels or source.name == "classes-5000x100":
        return False  # the same samples have numbers as targets under another name
    if kind == "group lasso":
        return source.name in _GROUPED or source.name.startswith(("random-", "tiny"))
    if kind in ("elastic net", "nnls") and source.size == "large":
        return source.name in _FEW
    if kind == "path":
        return source.name in _PATHS or source.name.startswith(("random-", "tiny"))
    return True
