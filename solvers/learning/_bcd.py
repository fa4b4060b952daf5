"""Block coordinate descent for quadratics; the rules are in `solvers._base.blocks`, which `solvers.minimize` shares."""

from __future__ import annotations

from .._base.blocks import BlockCoordinateDescent
from .._base.method import Method, register

METHOD = register(
    Method(
        name="bcd",
        family="learning",
        summary="block coordinate descent: greedy, drawn or forest blocks, with exact, matrix or gradient steps",
        reference="Nutini, Laradji, Schmidt (2022), Let's make block coordinate descent converge faster, JMLR 23(131), "
        "arXiv 1712.08859",
        solver=BlockCoordinateDescent,
        capabilities=frozenset({"quadratic", "sparse-quadratic"}),
    )
)
