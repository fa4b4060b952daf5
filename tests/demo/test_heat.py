"""The demo's plate: its equation, and its row."""

import numpy as np
import pytest

from solvers.demo import heat
from solvers.demo.progress import Progress
from solvers.demo.rows import heat as row


def test_the_equation():
    plate = heat.Plate(nx=6, dt=1e-2)
    assert plate.conductivity(0.25) == pytest.approx(0.1)
    assert plate.conductivity(0.75) == pytest.approx(10.0)
    start = plate.start()
    assert start.shape == (25,)
    assert start[12] == 1.0  # the middle
    assert start[0] == 0.0
    system = plate.step(start, 0.7)
    half = 0.005 * plate.conductivity(0.705)
    dense = plate.laplacian.toarray()
    np.testing.assert_allclose(dense[12, [12, 11, 13, 7, 17]], [-144, 36, 36, 36, 36])
    np.testing.assert_allclose(system.A.toarray(), np.eye(25) - half * dense, rtol=1e-14)
    angle = 16 * np.pi * 0.705
    heating = 32 * plate.bump((0.5 + np.cos(angle) / 4, 0.5 + np.sin(angle) / 4), 0.125)
    np.testing.assert_allclose(system.b, start + half * dense @ start + 1e-2 * heating, atol=1e-13)
    assert heating.max() > 0


def test_a_run_goes_on_from_each_solution():
    plate = heat.Plate(nx=6)
    systems = list(plate.run(lambda system: np.linalg.solve(system.A.toarray(), system.b), 5, 0.6))
    assert len(systems) == 5
    np.testing.assert_allclose(systems[0].A @ systems[1].u, systems[0].b, atol=1e-12)


def test_the_row(monkeypatch):
    monkeypatch.setattr(row, "PLATE", heat.Plate(nx=12))
    monkeypatch.setattr(row, "STEPS", 15)
    made = row.run(Progress(1), 1)
    assert made.status == "ok"
    assert made.accuracy <= 1e-8 * (1 + 1e-6)
    assert made.size == "15 x 121"
    assert {picture.name for picture in made.pictures} == {"cost", "learned", "plate"}
    assert all(picture.png[:4] == b"\x89PNG" for picture in made.pictures)
    assert min(made.seconds, made.peer_seconds) > 0


def test_a_wrong_solver_is_seen(monkeypatch):
    monkeypatch.setattr(row, "PLATE", heat.Plate(nx=12))
    monkeypatch.setattr(row, "STEPS", 4)
    monkeypatch.setattr(row, "scipy_cg", lambda system: system.u)
    assert row.run(Progress(1), 1).status == "a residual is off"
