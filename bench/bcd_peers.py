"""Solvers of penalised models, ours and the peers', behind one call: a tolerance in, coefficients out.

Each peer runs as its users would run it, on one thread and in float64, on data in the form it likes best (handed over
before the clock starts). What a tolerance means is the peer's own affair: which one it needs is found by
bench/bcd_match.py. Those that compare with the gradient of the mean loss get it in units of lam_max / n. A peer is
loaded only in the process that runs it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import warnings
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .bcd_judge import GROUP, Model

Array = npt.NDArray[Any]

#: Iterations without a limit: the clock is one.
ENDLESS = 10**7

#: A sparse matrix of more entries, zeros included, is not made dense for those that know no other.
LARGEST_DENSE = 2e7

#: Columns up to which a peer may form the Gram matrix.
GRAM = 2500


class Peer:
    """A package and its methods."""

    #: What is imported, and the name under which it is installed.
    package: str
    distribution: str

    #: Kind of problem -> methods.
    methods: ClassVar[dict[str, tuple[str, ...]]]

    #: Processor seconds beyond its cap that its process may live, rather than load everything again.
    grace = 0.5

    def tries(self, model: Model) -> tuple[str, ...]:
        """The methods for a problem."""
        return self.methods.get(model.kind, ())

    def prepared(self, model: Model) -> Any:
        """The matrix in the form the package likes best: columns by default."""
        return model.X

    def solve(self, model: Model, X: Any, method: str, tolerance: float) -> Array:
        raise NotImplementedError


def _rows(X: Any) -> Any:
    """The matrix by rows."""
    return X.tocsr() if scipy.sparse.issparse(X) else np.ascontiguousarray(X)


class Ours(Peer):
    """solvers.learning, with its own choice of everything."""

    package, distribution = "solvers", "solvers-toolkit"
    methods = dict.fromkeys(
        ("lasso", "elastic net", "nnls", "group lasso", "l1-logistic", "l2-logistic", "multinomial", "path"), ("",)
    )
    arguments: ClassVar[dict[str, dict[str, Any]]] = {
        "lasso": {}, "path": {}, "elastic net": {"penalty": "elastic-net", "l1_ratio": 0.5},
        "nnls": {"penalty": "none", "bounds": (0, np.inf)}, "group lasso": {"penalty": "group", "groups": GROUP},
        "l1-logistic": {"loss": "logistic"}, "l2-logistic": {"loss": "logistic", "penalty": "l2"},
        "multinomial": {"loss": "multinomial", "penalty": "l2"},
    }  # fmt: skip

    def solve(self, model: Model, X: Any, method: str, tolerance: float) -> Array:
        from solvers import learning

        given = self.arguments[model.kind]
        if model.kind == "path":
            return learning.glm_path(X, model.y, lams=model.lams, tol=tolerance, threads=1).coefs
        coef = learning.glm(X, model.y, lam=model.lam, tol=tolerance, threads=1, **given).coef
        return coef.T if model.kind == "multinomial" else coef


class Celer(Peer):
    package = distribution = "celer"
    methods = dict.fromkeys(("lasso", "elastic net", "group lasso", "l1-logistic", "path"), ("celer",))

    def solve(self, model: Model, X: Any, method: str, tolerance: float) -> Array:
        import celer

        alpha = model.lam / len(model.y)
        given: dict[str, Any] = {"tol": tolerance, "max_iter": 1000, "max_epochs": ENDLESS}
        if model.kind == "path":
            alphas = model.lams / len(model.y)
            return celer.celer_path(X, model.y, "lasso", alphas=alphas, **given)[1].T  # type: ignore[no-any-return]
        given["fit_intercept"] = False
        if model.kind == "l1-logistic":
            fitted = celer.LogisticRegression(C=1 / model.lam, **given).fit(X, model.y)
        elif model.kind == "group lasso":
            d = X.shape[1]
            sizes = [GROUP] * (d // GROUP) + [d % GROUP] * (d % GROUP > 0)
            fitted = celer.GroupLasso(groups=sizes, alpha=alpha, **given).fit(X, model.y)
        elif model.kind == "elastic net":
            fitted = celer.ElasticNet(alpha=alpha, l1_ratio=0.5, **given).fit(X, model.y)
        else:
            fitted = celer.Lasso(alpha=alpha, **given).fit(X, model.y)
        return np.ravel(fitted.coef_)


class Skglm(Peer):
    """Compiled by numba when a form of a problem is first met."""

    package = distribution = "skglm"
    methods: ClassVar = {
        "lasso": ("AndersonCD", "GramCD"), "elastic net": ("AndersonCD",), "group lasso": ("GroupBCD",),
        "l1-logistic": ("ProxNewton", "AndersonCD"), "l2-logistic": ("LBFGS",), "nnls": ("AndersonCD",),
        "path": ("AndersonCD",),
    }  # fmt: skip
    grace = 6.0

    def tries(self, model: Model) -> tuple[str, ...]:
        small = model.X.shape[1] <= min(GRAM, model.X.shape[0])
        return tuple(name for name in super().tries(model) if small or name != "GramCD")

    def solve(self, model: Model, X: Any, method: str, tolerance: float) -> Array:
        import skglm
        from skglm import datafits, penalties, solvers
        from skglm.utils.jit_compilation import compiled_clone

        n, d = X.shape
        alpha, tol = model.lam / n, tolerance * model.lam_max / n
        endless = {"max_epochs": ENDLESS}
        if model.kind == "path":
            lasso = skglm.Lasso(tol=tol, fit_intercept=False, max_iter=1000, **endless)
            return lasso.path(X, model.y, model.lams / n)[1].T  # type: ignore[no-any-return]
        if model.kind == "group lasso":
            sizes = [GROUP] * (d // GROUP) + [d % GROUP] * (d % GROUP > 0)
            fitted = skglm.GroupLasso(
                sizes, alpha, tol=tol, fit_intercept=False, max_iter=1000, **endless
            ).fit(X, model.y)  # fmt: skip
            return np.ravel(fitted.coef_)
        solver = {
            "AndersonCD": lambda: solvers.AndersonCD(max_iter=1000, tol=tol, fit_intercept=False, **endless),
            "GramCD": lambda: solvers.GramCD(max_iter=ENDLESS, tol=tol, fit_intercept=False),
            "ProxNewton": lambda: solvers.ProxNewton(max_iter=1000, tol=tol, fit_intercept=False),
            "LBFGS": lambda: solvers.LBFGS(max_iter=ENDLESS, tol=tol),
        }[method]()
        solver.fit_intercept = solver.warm_start = False  # LBFGS does not know them, but is asked
        penalty = {
            "elastic net": lambda: penalties.L1_plus_L2(alpha, 0.5), "nnls": penalties.PositiveConstraint,
            "l2-logistic": lambda: penalties.L2(alpha),
        }.get(model.kind, lambda: penalties.L1(alpha))()  # fmt: skip
        if method == "GramCD":  # no estimator takes it: it knows its own loss alone
            return solver.solve(X, model.y, None, compiled_clone(penalty))[0]  # type: ignore[no-any-return]
        datafit = datafits.Logistic() if "logistic" in model.kind else datafits.Quadratic()
        fitted = skglm.GeneralizedLinearEstimator(datafit, penalty, solver).fit(X, model.y)
        return np.ravel(fitted.coef_)


class Sklearn(Peer):
    package, distribution = "sklearn", "scikit-learn"
    methods: ClassVar = {
        "lasso": ("cd", "cd, Gram", "lars"), "elastic net": ("cd", "cd, Gram"), "path": ("cd",),
        "l1-logistic": ("liblinear", "saga"),
        "l2-logistic": ("newton-cholesky", "lbfgs", "newton-cg", "liblinear", "liblinear, dual", "saga"),
        "multinomial": ("newton-cholesky", "lbfgs", "newton-cg", "saga"),
    }  # fmt: skip

    def tries(self, model: Model) -> tuple[str, ...]:
        d = model.X.shape[1]
        dense = not scipy.sparse.issparse(model.X)
        width = d * (model.classes if model.kind == "multinomial" else 1)
        serves = {
            "cd, Gram": dense and d <= GRAM, "lars": dense and d <= GRAM, "newton-cholesky": width <= GRAM,
        }  # fmt: skip
        return tuple(name for name in super().tries(model) if serves.get(name, True))

    def prepared(self, model: Model) -> Any:
        return _rows(model.X) if model.kind in ("l1-logistic", "l2-logistic", "multinomial") else model.X

    def solve(self, model: Model, X: Any, method: str, tolerance: float) -> Array:
        from sklearn import linear_model

        n = len(model.y)
        alpha = model.lam / n
        given: dict[str, Any] = {"tol": tolerance, "max_iter": ENDLESS}
        if model.kind == "path":
            return linear_model.lasso_path(X, model.y, alphas=model.lams / n, **given)[1].T  # type: ignore[no-any-return]
        if model.kind in ("lasso", "elastic net"):
            if method == "lars":  # exact: the tolerance says nothing
                return linear_model.LassoLars(alpha, fit_intercept=False, max_iter=ENDLESS).fit(X, model.y).coef_  # type: ignore[no-any-return]
            given |= {"fit_intercept": False, "precompute": method == "cd, Gram", "copy_X": False}
            share = 1.0 if model.kind == "lasso" else 0.5
            return np.ravel(linear_model.ElasticNet(alpha, l1_ratio=share, **given).fit(X, model.y).coef_)
        if method not in ("liblinear", "liblinear, dual", "saga"):
            given["tol"] *= model.lam_max / n
        given |= {"C": 1 / model.lam, "solver": method.split(",")[0], "fit_intercept": False}
        given |= {"l1_ratio": 1.0 if model.kind == "l1-logistic" else 0.0, "dual": method == "liblinear, dual"}
        coef = linear_model.LogisticRegression(**given).fit(X, model.y).coef_
        return coef.T if model.kind == "multinomial" else np.ravel(coef)  # type: ignore[no-any-return]


class Liblinear(Peer):
    package, distribution = "liblinear", "liblinear-official"
    methods: ClassVar = {"l1-logistic": ("l1r_lr",), "l2-logistic": ("l2r_lr", "l2r_lr_dual")}
    types: ClassVar = {"l1r_lr": 6, "l2r_lr": 0, "l2r_lr_dual": 7}

    def prepared(self, model: Model) -> Any:
        from liblinear.liblinearutil import problem

        return problem(model.y, scipy.sparse.csr_matrix(model.X))

    def solve(self, model: Model, X: Any, method: str, tolerance: float) -> Array:
        from liblinear.liblinearutil import parameter, train

        chosen = f"-s {self.types[method]} -c {1 / model.lam!r} -e {tolerance!r} -B -1 -q"
        found = train(X, parameter(chosen))
        coef = np.array(found.w[: model.X.shape[1]])
        return coef if found.get_labels()[0] > 0 else -coef


class Cyanure(Peer):
    package = distribution = "cyanure"
    methods = dict.fromkeys(
        ("lasso", "elastic net", "l1-logistic", "l2-logistic", "multinomial"), ("auto", "qning-ista", "catalyst-svrg")
    )

    def tries(self, model: Model) -> tuple[str, ...]:
        # the last one divides by zero on sparse data of several classes, and takes the process with it
        few = model.kind == "multinomial" and scipy.sparse.issparse(model.X)
        return super().tries(model)[: 2 if few else None]

    def prepared(self, model: Model) -> Any:
        return _rows(model.X)

    def solve(self, model: Model, X: Any, method: str, tolerance: float) -> Array:
        from cyanure import estimators

        alpha = model.lam / len(model.y)
        penalty = {"lasso": "l1", "l1-logistic": "l1", "elastic net": "elasticnet"}.get(model.kind, "l2")
        given: dict[str, Any] = {
            "penalty": penalty, "lambda_1": alpha / 2 if model.kind == "elastic net" else alpha, "lambda_2": alpha / 2,
            "fit_intercept": False, "tol": tolerance, "max_iter": 100_000, "n_threads": 1, "solver": method,
            "verbose": False,
        }  # fmt: skip
        if model.kind in ("lasso", "elastic net"):
            return np.ravel(estimators.Regression(**given).fit(X, model.y).coef_)
        loss = {"multinomial": "multiclass-logistic"}.get(model.kind, "logistic")
        coef = np.asarray(estimators.Classifier(loss=loss, **given).fit(X, model.y).coef_)
        if model.kind == "multinomial":
            return coef.T if coef.shape[0] == model.classes else coef
        return np.ravel(coef)


class Scipy(Peer):
    package = distribution = "scipy"
    methods: ClassVar = {"nnls": ("nnls", "lsq_linear, bvls", "lsq_linear, trf")}

    def tries(self, model: Model) -> tuple[str, ...]:
        return super().tries(model) if np.prod(model.X.shape) <= LARGEST_DENSE else ("lsq_linear, trf",)

    def prepared(self, model: Model) -> Any:
        small = np.prod(model.X.shape) <= LARGEST_DENSE
        return model.X.toarray(order="F") if scipy.sparse.issparse(model.X) and small else model.X

    def solve(self, model: Model, X: Any, method: str, tolerance: float) -> Array:
        from scipy import optimize

        if method == "nnls":
            return optimize.nnls(X, model.y)[0]  # type: ignore[no-any-return]
        found = optimize.lsq_linear(
            X, model.y, (0, np.inf), method=method.split(", ")[1], tol=tolerance, max_iter=100_000
        )
        return found.x  # type: ignore[no-any-return]


#: The name in tables -> the class. Ours comes first.
PEERS: dict[str, type[Peer]] = {
    "ours": Ours, "celer": Celer, "skglm": Skglm, "scikit-learn": Sklearn, "liblinear": Liblinear, "cyanure": Cyanure,
    "scipy": Scipy,
}  # fmt: skip

#: Methods that do not look at the tolerance.
EXACT = ("lars", "nnls")


def installed(peer: type[Peer]) -> bool:
    """Whether a peer's package can be imported."""
    return importlib.util.find_spec(peer.package) is not None


def versions() -> list[str]:
    """The packages' names and versions."""
    return [f"{p.distribution} {importlib.metadata.version(p.distribution)}" for p in PEERS.values() if installed(p)]


def hush() -> None:
    """No warnings from here on: the judge sees the results. Before the clock starts: it takes as long as small fits."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
