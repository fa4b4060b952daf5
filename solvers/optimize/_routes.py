"""Which linear algebra serves a nonlinear program."""

from __future__ import annotations

from typing import Any

from .._base.errors import OptionError
from ._kernels import NLP, DenseNLP, PythonNLP
from ._krylov import SOLVERS, KrylovNLP
from ._nlp import Program
from ._sparse import SparseNLP

ROUTES = ("auto", "dense", "sparse", *SOLVERS)
#: Up to this order sparse matrices are taken as dense ones.
DENSE = 200


def route(program: Program, inner: str, precond: Any = None) -> tuple[NLP, str]:
    """The program with its linear algebra, and the name of what was chosen.

    "auto": MINRES where a preconditioner is given, projected conjugate gradients where the Hessian is an operator;
    dense factors for dense matrices and where there are at most 200 unknowns and rows; else sparse factors.
    """
    name = _chosen(program, precond) if inner == "auto" else inner
    if precond is not None and not (callable(precond) or hasattr(precond, "shape")):
        raise OptionError(f"option 'precond' must be an operator, a matrix or a function, not {precond!r:.60}")
    if precond is not None and name not in SOLVERS:
        raise OptionError(f"option 'precond' is for inner {' and '.join(map(repr, SOLVERS))}, not for {name!r}")
    if program.kind == "operator" and name not in SOLVERS:
        raise OptionError(f"inner {name!r} needs the Hessian's entries, and it is an operator")
    if name == "dense":
        return DenseNLP(program), name
    if isinstance(program.hessian, str):  # an approximation, which the dense backend carries along
        raise OptionError(f"inner {name!r} needs hess, a function or differences ('2-point')")
    backend = SparseNLP(program) if name == "sparse" else KrylovNLP(program, name, precond)
    return PythonNLP(backend), name


def _chosen(program: Program, precond: Any) -> str:
    if precond is not None:
        return "minres"
    if program.kind == "operator":
        return "projected-cg"
    return "dense" if program.kind == "dense" or program.n + program.m <= DENSE else "sparse"
