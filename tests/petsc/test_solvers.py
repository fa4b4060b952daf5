"""Solvers and preconditioners under PETSc, on 1, 2 and 4 ranks."""

import numpy as np
import pytest

RANKS = (1, 2, 4)
#: Iterations on 4 ranks over those on 1, at most.
GROWTH = 1.5


def test_all_ranks_find_the_same(facts):
    for ranks in RANKS:
        for other in facts[ranks][1:]:
            for part in ("solutions", "counts", "special_grids", "tuned", "adjoint", "options"):
                assert other[part] == facts[ranks][0][part], part


def test_the_solution_does_not_depend_on_solver_or_ranks(facts):
    known = facts[1][0]["solutions"]["cg, ssor"]["x"]
    for ranks in RANKS:
        for name, found in facts[ranks][0]["solutions"].items():
            assert found["reason"] > 0, (ranks, name)
            assert np.linalg.norm(np.subtract(found["x"], known)) <= 1e-10 * np.linalg.norm(known), (ranks, name)


def test_the_coarse_correction_keeps_the_counts(facts, capsys):
    counts = [facts[ranks][0]["counts"] for ranks in RANKS]
    with capsys.disabled():
        print(f"\n{'iterations to 1e-6 on 1, 2, 4 ranks':45}")
        for name in counts[0]:
            print(f"{name:45}{'':2}{'  '.join(f'{count[name]:3}' for count in counts)}")
    for name, single in counts[0].items():
        for count in counts[1:]:
            assert 0 < count[name] <= GROWTH * single, name
    assert max(counts[0][name] for name in counts[0] if name.startswith("uniform")) <= 9


def test_three_grids_are_as_good_as_two(facts):
    two, three = ("cg, multilevel", "cg, multilevel in three levels")
    found = facts[4][0]["solutions"]
    assert found[three]["count"] <= found[two]["count"] + 2


def test_periodic_singular_and_thin_grids(facts):
    for name, single in facts[1][0]["special_grids"].items():
        for ranks in (2, 4):
            found = facts[ranks][0]["special_grids"][name]
            assert found["reason"] > 0, name
            assert found["x"] == pytest.approx(single["x"], rel=1e-8), name
            assert found["count"] <= GROWTH * single["count"] + 3, name


def test_block_jacobi_takes_more_iterations_on_more_ranks(facts):
    counts = [facts[ranks][0]["solutions"]["ssor-cg"]["count"] for ranks in RANKS]
    assert counts[0] < counts[1] < counts[2] < 2 * counts[0]


@pytest.mark.parametrize("ranks", RANKS)
def test_the_transposed_preconditioner_is_the_adjoint(facts, ranks):
    assert max(facts[ranks][0]["adjoint"].values()) < 1e-13


@pytest.mark.parametrize("ranks", RANKS)
def test_the_matrix_is_read_in_place(facts, ranks):
    for found in (rank["in_place"] for rank in facts[ranks]):
        assert found["shared"]
        assert found["same plan"]
        assert found["copies"] == 0
        assert found["entries"]
        assert found["rows"]
        assert abs(found["couplings"]) < 1e-9
        assert found["again"] < 1e-4


@pytest.mark.parametrize("ranks", RANKS)
def test_types_by_name_in_the_options(facts, ranks):
    assert max(facts[ranks][0]["options"].values()) < 2e-8
    views = {prefix: (facts["folder"] / f"of{ranks}.{prefix}").read_text() for prefix in "abcd"}
    assert "Sor of solvers: omega 1." in views["a"]
    assert "(young), 2 sweeps" in views["a"]
    assert "SsorCg of solvers: omega 1.6 (1.6)" in views["b"]
    assert "the last 3 are kept" in views["c"]
    assert "LearnedDirection of solvers" in views["c"]
    assert "cycles in float32, grids [(20, 20)" in views["d"]
