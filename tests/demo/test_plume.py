"""The demo's smoke: a flow that keeps to the fluid and is free of divergence, and its row."""

import numpy as np
import scipy.sparse.linalg

from solvers.demo import plume
from solvers.demo.progress import Progress
from solvers.demo.rows import plume as row


def exactly(operator, b):
    return scipy.sparse.linalg.spsolve(operator.to_csr().tocsc(), b)


def test_the_flow():
    flow = plume.Plume(24)
    for _ in range(12):
        flow.step(exactly)
    assert np.abs(flow.divergence()).max() <= 1e-12
    assert not flow.v[0].any()
    assert not flow.u[:, [0, -1]].any()
    around = flow.mask[:, 1:] & flow.mask[:, :-1]
    assert not flow.u[:, 1:-1][~around].any()
    assert not flow.smoke[~flow.mask].any()
    assert 0 <= flow.smoke.min() <= flow.smoke.max() <= 1
    assert np.argwhere(flow.smoke > 0.1)[:, 0].max() > 4  # it rose above its source


def test_values_are_traced_back():
    """A field that is linear in space, in a uniform flow, moves by the flow's velocity times the step."""
    y, x = np.indices((8, 9)) + 0.5
    v, u = np.full((9, 9), 0.25), np.full((8, 10), -0.5)
    moved = plume._traced(3 * x - y, v, u, (0.5, 0.5), 0.5)
    np.testing.assert_allclose(moved[2:-2, 2:-2], (3 * (x + 0.25) - (y - 0.125))[2:-2, 2:-2])


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
