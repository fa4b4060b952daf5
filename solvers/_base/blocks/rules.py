"""The rules of one solve: those that say "auto" chosen by what the problem is, and the blocks of a partition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from . import partition as _partition
from .curvature import Curvature
from .penalty import GroupL2, Separable
from .problem import BlockProblem
from .smooth import Quadratic

if TYPE_CHECKING:
    from .descent import BlockCoordinateDescent

Array = npt.NDArray[Any]

#: Forests that a graph may need for conjugate gradients over them to be chosen.
FEW = 8


def chosen(options: BlockCoordinateDescent, problem: BlockProblem) -> dict[str, Any]:
    """The rules by name, those that say "auto" chosen by what the problem is."""
    smooth, penalty = problem.smooth, problem.penalty
    known = smooth.constants() is not None
    exact = "matrix" if penalty.none else "exact"
    if not (smooth.constant and isinstance(penalty, Separable | GroupL2)):
        exact = "lb" if known else "la"
    rules: dict[str, Any] = {"partition": "order", "selection": "perm", "update": exact, "accel": "none"}
    if options.parallel != "none":
        rules["selection"] = "cyclic"
    if problem.block_min is not None:
        rules |= {"update": "callback", "selection": "cyclic"}
    if problem.blocks is not None:
        rules["partition"] = "groups"
    elif known and problem.block_min is None and smooth.size <= 4096 and options.parallel == "none":
        rules |= {"partition": "variable", "selection": "gsd"}
    sparse = isinstance(smooth, Quadratic) and smooth.sparse and penalty.none
    if sparse and options.accel != "none" and options.parallel == "none":
        rules |= _forest_rules(options, problem)
    given = {name: getattr(options, name) for name in rules}
    return rules | {name: value for name, value in given.items() if value != "auto"}


def _forest_rules(options: BlockCoordinateDescent, problem: BlockProblem) -> dict[str, Any]:
    """Conjugate gradients over forests, where nothing else was asked for and a few forests do."""
    free = all(getattr(options, name) == "auto" for name in ("selection", "update"))
    wanted = options.accel == "cg" or (free and options.partition in ("auto", "forest") and problem.blocks is None)
    if not wanted or options.partition not in ("auto", "forest", "groups"):
        return {}
    rules = {"selection": "cyclic", "update": "exact", "accel": "cg"}
    if problem.blocks is not None:
        return rules
    assert isinstance(problem.smooth, Quadratic)
    few = options.accel == "cg" or len(_coloured("forest", problem)) <= FEW
    return {**rules, "partition": "forest"} if few else {}


def _coloured(rule: str, problem: BlockProblem) -> list[Array]:
    smooth = problem.smooth
    if not (isinstance(smooth, Quadratic) and smooth.rows is not None):
        raise ValueError(f"partition {rule!r} needs a sparse Q")
    rows = smooth.rows
    return problem.remember(  # type: ignore[no-any-return]
        ("coloured", rule), lambda: _partition.coloured(rule, rows, smooth.constants())
    )


def blocks_of(rule: str, problem: BlockProblem, size: int, curvature: Curvature) -> list[Array] | None:
    """The fixed blocks of a partition; None where they vary."""
    smooth = problem.smooth
    if rule == "groups":
        if problem.blocks is None:
            raise ValueError("partition 'groups' needs blocks=")
        return problem.blocks
    if problem.blocks is not None:
        raise ValueError(f"blocks= is for partition 'groups', not {rule!r}")
    if rule in _partition.COLOURINGS:
        return _coloured(rule, problem)
    if rule == "variable_forest" and not (isinstance(smooth, Quadratic) and smooth.sparse):
        raise ValueError("partition 'variable_forest' needs a sparse Q")
    if rule in _partition.VARIABLE:
        return None
    constants = None if rule == "order" else curvature.coordinates
    return _partition.chunks(rule, smooth.size, size, constants)
