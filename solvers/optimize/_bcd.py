"""Block coordinate descent for functions; the rules are in `solvers._base.blocks`, which `solvers.learning` shares."""

from __future__ import annotations

from .._base.blocks import BlockCoordinateDescent
from .._base.method import Method, register

METHOD = register(
    Method(
        name="bcd",
        family="optimize",
        summary="block coordinate descent on functions, smooth plus a penalty with a proximal operator",
        reference="Nutini, Laradji, Schmidt (2022), Let's make block coordinate descent converge faster, JMLR 23(131), "
        "arXiv 1712.08859",
        solver=BlockCoordinateDescent,
        capabilities=frozenset({"function"}),
    )
)
