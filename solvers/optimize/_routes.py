"""Which linear algebra serves a nonlinear program."""

from __future__ import annotations

from ._kernels import NLP, DenseNLP
from ._nlp import Program


def route(program: Program, inner: str) -> tuple[NLP, str]:
    """The program with its linear algebra, and the name of what was chosen."""
    return DenseNLP(program), "dense"
