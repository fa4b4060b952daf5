"""Reading MPS files: every section and type, and what is wrong with a file, by the line's number."""

import bz2
import gzip
import lzma
import os
import pathlib

import numpy as np
import pytest
import scipy.optimize

from solvers.equilibrium import read_mps

INF = np.inf

TEXT = """* a comment
NAME          all
OBJSENSE
    MAX
ROWS
 N  cost
 L  low
 G  high
 E  up
 E  down
 N  other
COLUMNS
    x         cost             1.0   low              2.0
    x         high             3.0   other            9.0
    MARKER    'MARKER'         'INTORG'
    y         up              -1.5   down             1D0
    MARKER    'MARKER'         'INTEND'
    z         cost            -2.0   up               4.0
RHS
    rhs       cost             7.0   low              5.0
    rhs       high             1.0   up               2.0
    second    low             99.0
RANGES
    rng       low              2.0   high            -3.0
    rng       up               0.5   down            -0.25
BOUNDS
 UP bnd       x               -1.0
 UP bnd       y                4.0
 FR bnd       z
 UP bnd2      z               11.0
ENDATA
"""


def written(tmp_path, text, suffix=".mps"):
    path = tmp_path / f"file{suffix}"
    opener = {".mps": open, ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}[suffix]
    with opener(path, "wt") as file:
        file.write(text)
    return path


@pytest.mark.parametrize("suffix", [".mps", ".gz", ".bz2", ".xz"])
def test_every_section(tmp_path, suffix):
    program = read_mps(written(tmp_path, TEXT, suffix))
    assert (program.name, program.maximize, program.offset) == ("all", True, -7.0)
    assert program.row_names == ("low", "high", "up", "down")
    assert program.column_names == ("x", "y", "z")
    np.testing.assert_array_equal(program.c, [1, 0, -2])
    np.testing.assert_array_equal(program.A.toarray(), [[2, 0, 0], [3, 0, 0], [0, -1.5, 4], [0, 1, 0]])
    np.testing.assert_array_equal(program.l, [3, 1, 2, -0.25])
    np.testing.assert_array_equal(program.u, [5, 4, 2.5, 0])
    np.testing.assert_array_equal(program.lb, [-INF, 0, -INF])
    np.testing.assert_array_equal(program.ub, [-1, 4, INF])
    np.testing.assert_array_equal(program.integrality, [False, True, False])


def with_bounds(*lines):
    rows = "".join(f" {line}\n" for line in lines)
    return f"ROWS\n N c\n G r\nCOLUMNS\n x c 1 r 1\nRHS\n r 2\nBOUNDS\n{rows}ENDATA\n"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["UP b x 4"], (0, 4)), (["LO b x -4"], (-4, INF)), (["FX b x 3"], (3, 3)), (["FR b x"], (-INF, INF)),
        (["MI b x"], (-INF, INF)), (["MI b x", "UP b x 5"], (-INF, 5)), (["PL b x"], (0, INF)), (["BV b x"], (0, 1)),
        (["LI b x 2"], (2, INF)), (["UI b x 9"], (0, 9)), (["UP b x -2"], (-INF, -2)), (["UP b x 0"], (0, 0)),
        (["LO b x -5", "UP b x -2"], (-5, -2)),
        (["UP x 4"], (0, 4)), (["FR x"], (-INF, INF)), (["UP b x 1e400"], (0, INF)),
    ],
)  # fmt: skip
def test_bounds(tmp_path, lines, expected):
    program = read_mps(written(tmp_path, with_bounds(*lines)))
    assert (program.lb[0], program.ub[0]) == expected
    assert (program.integrality is not None) == (lines[0][:2] in ("BV", "LI", "UI"))


def test_names_with_spaces(tmp_path):
    text = (
        "NAME          my file\n"
        "ROWS\n"
        " N  the cost\n"
        " G  row one\n"
        "COLUMNS\n"
        "    col a     the cost         2.0     row one          1.0\n"
        "RHS\n"
        "    RHS       row one          3.0\n"
        "BOUNDS\n"
        " UP BND       col a            8.0\n"
        "ENDATA\n"
    )
    program = read_mps(written(tmp_path, text))
    assert (program.name, program.row_names, program.column_names) == ("my file", ("row one",), ("col a",))
    assert (program.l[0], program.ub[0]) == (3, 8)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("COLUMNS\n x c 1 r 1", "COLUMNS\n x c 1 q 1", "line 5: no row has the name 'q'"),
        ("COLUMNS\n x c 1 r 1", "COLUMNS\n x c 1 r one", "line 5: 'one' is not a number"),
        ("COLUMNS\n x c 1 r 1", "COLUMNS\n x c 1 r", "line 5: a name without a number"),
        ("COLUMNS\n x c 1 r 1", "COLUMNS\n x c 1 r 1\n x r 2", "column 'x' has two entries in row 'r'"),
        ("COLUMNS\n x c 1 r 1", "COLUMNS\n x c 1 r nan", "line 5: 'nan' is not a number"),
        (" G r\n", " Q r\n", "line 3: the type of row 'r'"),
        (" G r\n", " G r\n G r\n", "line 4: row 'r' is given twice"),
        ("BOUNDS", "QUADOBJ", "line 8: section QUADOBJ: a quadratic objective"),
        ("BOUNDS", "BOUNDARY", "line 8: unknown section 'BOUNDARY'"),
        ("UP b x 4", "SC b x 4", "line 9: column 'x' is semi-continuous"),
        ("UP b x 4", "UP b w 4", "line 9: no column has the name 'w'"),
        ("UP b x 4", "XX b x 4", "line 9: the type of a bound"),
        (" N c\n", "", "line 4: no row has the name 'c'"),
        ("ENDATA\n", "", "the file ends without ENDATA"),
    ],
)  # fmt: skip
def test_what_is_wrong_and_where(tmp_path, old, new, words):
    with pytest.raises(ValueError, match=words):
        read_mps(written(tmp_path, with_bounds("UP b x 4").replace(old, new)))


def references():
    """name -> (rows, columns, status, objective) of the files at hand."""
    folder = os.environ.get("SOLVERS_DATA")
    if folder is None:
        pytest.skip("SOLVERS_DATA is not set")
    table = (pathlib.Path(folder) / "lp" / "SOURCES.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.split("|")] for line in table if ".mps.xz |" in line]
    return {c[1]: (int(c[2]), int(c[3]), c[5], c[6]) for c in cells}


def test_the_files_are_those_of_the_references():
    folder = pathlib.Path(os.environ.get("SOLVERS_DATA", "")) / "lp"
    for name, (rows, columns, _, _) in references().items():
        assert read_mps(folder / name).A.shape == (rows, columns)


@pytest.mark.parametrize("name", ["adlittle", "stair", "etamacro", "woodinfe"])
def test_scipy_finds_the_reference(name):
    folder = pathlib.Path(os.environ.get("SOLVERS_DATA", "")) / "lp"
    *_, status, objective = references()[f"{name}.mps.xz"]
    found = scipy.optimize.linprog(**read_mps(folder / f"{name}.mps.xz").scipy_form())
    if status == "Optimal":
        assert found.fun == pytest.approx(float(objective), rel=1e-8)
    else:
        assert found.status == 2


@pytest.mark.parametrize("heading", ["NAME t", "OBJSENSE-MAX"])
def test_data_where_a_heading_is_all(tmp_path, heading):
    with pytest.raises(ValueError, match=f"line 2: data in section {heading.split()[0]}"):
        read_mps(written(tmp_path, f"{heading}\n x cost 1\nROWS\n N cost\nCOLUMNS\n x cost 1\nENDATA\n"))


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("kept", [slice(0, 60), slice(5, None)])
def test_damaged_archives(tmp_path, suffix, kept):
    path = written(tmp_path, TEXT, suffix)
    path.write_bytes(path.read_bytes()[kept])
    with pytest.raises(OSError):
        read_mps(path)
