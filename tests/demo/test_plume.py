"""The demo's smoke: a flow that keeps to the fluid and is free of divergence, and its row."""

import numpy as np
import pytest
import scipy.sparse.linalg

from solvers.demo.plume import Plume, traced
from solvers.demo.progress import Progress
from solvers.demo.rows import plume as row
from solvers.linalg import multilevel, solve
from solvers.testing import check_linear


def exactly(operator, b):
    return scipy.sparse.linalg.spsolve(operator.to_csr().tocsc(), b)


@pytest.mark.parametrize(("axes", "n", "steps"), [(2, 24, 12), (3, 10, 8)])
def test_the_flow(axes, n, steps):
    plume = Plume(n, axes)
    for _ in range(steps):
        plume.step(exactly)
    assert np.abs(plume.divergence()).max() <= 1e-12
    assert not plume.flow[0][0].any()
    for axis in range(1, axes):
        faces, mask = (np.moveaxis(x, axis, 0) for x in (plume.flow[axis], plume.mask))
        assert not faces[[0, -1]].any()
        assert not faces[1:-1][~(mask[1:] & mask[:-1])].any()
    assert not plume.smoke[~plume.mask].any()
    assert 0 <= plume.smoke.min() <= plume.smoke.max() <= 1
    assert np.argwhere(plume.smoke > 0.1)[:, 0].max() > (4 if axes == 2 else 1)  # it rose above its source


@pytest.mark.parametrize("axes", [2, 3])
def test_values_are_traced_back(axes):
    """A field that is linear in space, in a uniform flow, moves by the flow's velocity times the step."""
    shape, speed = (8, 9, 7)[:axes], np.array([0.25, -0.5, 0.75])[:axes]
    slope, inner = np.array([-1.0, 3.0, 2.0])[:axes], (slice(2, -2),) * axes
    places = np.moveaxis(np.indices(shape) + 0.5, 0, -1)
    flow = [np.full([n + (k == axis) for k, n in enumerate(shape)], v) for axis, v in enumerate(speed)]
    moved = traced(places @ slope, flow, 0.5)
    np.testing.assert_allclose(moved[inner], ((places - 0.5 * speed) @ slope)[inner])


def test_the_pressure_of_smoke_in_space():
    """Forty steps past a ball: every tenth system to 1e-6 in the counts of the multilevel method."""
    plume, counts = Plume(16, 3), []
    M = multilevel(plume.operator)

    def pressure(operator, b):
        result = solve(operator, b, M=M, rtol=1e-6)
        check_linear(operator, b, result, rtol=1e-6)
        counts.append(result.nit)
        return result.x

    for _ in range(40):
        plume.step(pressure)
    assert max(counts[9::10]) <= 9
    assert plume.smoke.sum() > 40


def test_the_row(monkeypatch):
    monkeypatch.setattr(row, "N", 24)
    monkeypatch.setattr(row, "STEPS", 5)
    made = row.run(Progress(1), 1)
    assert made.status == "ok"
    assert made.accuracy <= 1e-6 * (1 + 1e-6)
    assert made.size == "5 x 864"
    assert [curve.label for curve in made.curves] == ["ours, multilevel-cg", "ours, ssor-cg", "ours, cg"]
    assert all(curve.errors[-1] <= 1e-6 * (1 + 1e-6) < curve.errors[-2] for curve in made.curves)
    assert made.pictures[0].png[:4] == b"\x89PNG"
