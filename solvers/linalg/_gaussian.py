"""A Gaussian process over arm and context for the logarithm of the cost, for arms that lie on a scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._base.options import option
from ._kernels import gaussian_tables
from ._learner import Arms, Core, Learner, register


@dataclass(frozen=True)
class Gaussian:
    """With a context."""

    arm_length: float = option(0.3, "length over which the arms' costs are alike, of their whole range", low=0.1)
    context_length: float = option(0.15, "length over which contexts are alike, of their whole range", low=0.05)
    noise: float = option(0.05, "standard deviation of the logarithm of a cost about its mean", low=1e-3)
    caution: float = option(0.5, "standard deviations by which an arm is taken to be better than it seems", low=0.0)
    forget: float = option(1.0, "what a step leaves of what is known", low=0.5, high=1.0)
    epsilon: float = option(0.0, "share of the questions that are drawn evenly", low=0.0, high=1.0)

    def core(self, arms: Arms) -> Core:
        assert arms.places is not None
        by_context, by_arm = gaussian_tables(arms.places, self.arm_length, self.context_length if arms.context else 0.0)
        low, high = arms.context or (0.0, 1.0)
        settings = [
            low, high, by_arm.shape[1], by_context.size + 1, self.context_length, self.noise, self.caution,
            self.forget, self.epsilon,
        ]  # fmt: skip
        return Core("gaussian", np.array(settings, np.float64), np.r_[by_context, by_arm.ravel()])


@dataclass(frozen=True)
class Forgetting(Gaussian):
    """Without a context, where it must forget and explore: it would settle on what was best at first."""

    forget: float = option(0.99, "what a step leaves of what is known", low=0.5, high=1.0)
    epsilon: float = option(0.02, "share of the questions that are drawn evenly", low=0.0, high=1.0)


LEARNER = register(
    Learner(
        name="gp",
        summary="a Gaussian process for the logarithm of the cost over arm and context: the default with a context",
        reference="Srinivas et al. (2010), arXiv 0912.3995; features of Solin and Särkkä (2020), arXiv 1401.5508",
        settings=Gaussian,
        contextual=True,
        ordered=True,
        floor=False,
    )
)

WITHOUT_CONTEXT = register(
    Learner(
        name="gp-forgetting",
        summary="a Gaussian process for the logarithm of the cost over the arms, which forgets and explores",
        reference="Srinivas et al. (2010), arXiv 0912.3995",
        settings=Forgetting,
        ordered=True,
        floor=False,
    )
)
