"""Reading linear programs in MPS format, free and fixed.

A line's fields are words; a name with spaces makes a file fixed, whose fields stand at columns 2, 5, 15, 25, 40 and 50.
Rules that files rely on and the format's descriptions leave open:

1. The first N row is the objective; others are dropped with their entries.
2. An entry of the RHS section in the objective's row is the negative of a constant of the objective.
3. RANGES r: an L row becomes [u - |r|, u], a G row [l, l + |r|], an E row [b, b + r] for r > 0 and [b + r, b]
   for r < 0.
4. An upper bound below zero of a column without a lower bound makes that -inf; at zero it leaves 0.
5. Columns between the markers INTORG and INTEND are integer, and without bounds they stay within [0, inf).
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from ._program import LinearProgram

OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
#: Where the fields of a fixed line begin and end.
FIELDS = ((1, 3), (4, 12), (14, 22), (24, 36), (39, 47), (49, 61))
REFUSED = {
    "QUADOBJ": "a quadratic objective", "QMATRIX": "a quadratic objective", "QSECTION": "a quadratic objective",
    "QCMATRIX": "quadratic constraints", "CSECTION": "cones", "SOS": "special ordered sets",
    "INDICATORS": "indicator constraints", "GENCONS": "general constraints", "PWLOBJ": "a piecewise linear objective",
}  # fmt: skip
#: Sections with lines of their own, and those whose first line is all.
SECTIONS = ("ROWS", "COLUMNS", "RHS", "RANGES", "BOUNDS", "OBJSENSE")
HEADINGS = ("NAME", "OBJSENSE-MAX", "OBJSENSE-MIN")
#: Types of bounds that carry no number, and those that do.
BARE, VALUED = ("FR", "MI", "PL", "BV"), ("UP", "LO", "FX", "LI", "UI", "SC")


class MpsError(ValueError):
    """A file that is not MPS, or holds what is no linear program; the message has the line's number."""

    def __init__(self, text: str, line: int):
        super().__init__(f"line {line}: {text}")
        self.line = line


def read_mps(path: str | os.PathLike[str]) -> LinearProgram:
    """A linear program from an MPS file.

    Parameters
    ----------
    path : path
        The file; with the suffix .gz, .bz2 or .xz it is decompressed.

    Returns
    -------
    LinearProgram
        With the names of rows and columns. Integer columns are marked in `integrality`.

    Raises
    ------
    ValueError
        What is not MPS, with the line's number: an unknown section, name or type, a number that is none, an entry
        given twice; and quadratic objectives, semi-continuous variables and the like, which are no linear program.
    OSError
        A file that cannot be opened, or that is compressed and damaged.

    Notes
    -----
    Free and fixed format are told apart by the lines: a file is fixed where a name of it holds spaces. RANGES, all
    types of BOUNDS but SC, right-hand sides of the objective's row (a constant) and OBJSENSE are understood.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from solvers.equilibrium import read_mps
    >>> text = "NAME t\\nROWS\\n N cost\\n G need\\nCOLUMNS\\n x cost 2 need 1\\nRHS\\n RHS need 3\\nENDATA\\n"
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "t.mps"
    >>> _ = path.write_text(text)
    >>> read_mps(path)
    <LinearProgram 't': minimise, 1 rows, 1 columns, 1 nonzeros>
    """
    lines = _lines(Path(path))
    try:
        return _Reader(fixed=False).read(lines)
    except MpsError as error:
        try:
            return _Reader(fixed=True).read(lines)
        except MpsError as second:
            # the words' complaint is the clearer one, unless it stumbled where the columns did not
            raise (second if second.line > error.line else error) from None


def _lines(path: Path) -> list[str]:
    try:
        with OPENERS.get(path.suffix.lower(), open)(path, "rt", encoding="utf-8", errors="replace") as file:
            text: str = file.read()
    except (lzma.LZMAError, zlib.error, EOFError) as error:  # the other ways of damage are OSErrors already
        raise OSError(f"{path} cannot be decompressed: {error}") from error
    return text.splitlines()


@dataclass
class _Reader:
    """What has been read so far."""

    fixed: bool
    name: str = ""
    maximize: bool = False
    offset: float = 0.0
    objective: str | None = None
    kinds: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    columns: dict[str, int] = field(default_factory=dict)
    integer: list[bool] = field(default_factory=list)
    is_integer: bool = False
    where: list[tuple[int, int]] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    cost: dict[int, float] = field(default_factory=dict)
    sides: dict[int, float] = field(default_factory=dict)
    ranges: dict[int, float] = field(default_factory=dict)
    lower: dict[int, float] = field(default_factory=dict)
    upper: dict[int, float] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)
    number: int = 0

    def read(self, lines: list[str]) -> LinearProgram:
        section, ended = "", False
        for section, words in self._sections(lines):
            getattr(self, "_" + section.lower())(words)
            ended = section == "ENDATA"
        if not ended:
            raise self._error("the file ends without ENDATA")
        return self._program()

    def _error(self, text: str) -> MpsError:
        return MpsError(text, self.number)

    def _sections(self, lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
        """The section and the fields of each line."""
        section = ""
        for self.number, line in enumerate(lines, 1):
            if not line.strip() or line[0] == "*":
                continue
            if line[0] in " \t":
                if section not in SECTIONS:
                    raise self._error(f"data in section {section}" if section else "data before the first section")
                yield section, self._fields(line, section)
                continue
            words = line.split()
            section = words[0].upper()
            if section in REFUSED or section[:3] == "SOS":
                kind = REFUSED.get(section, REFUSED["SOS"])
                raise self._error(f"section {section}: {kind}; this reads linear programs alone")
            if section == "NAME":
                self.name = line[4:].strip() if self.fixed else " ".join(words[1:2])
            elif section == "OBJSENSE" and len(words) > 1:
                self._objsense(words[1:])
            elif section == "ENDATA":
                yield section, []
                return
            elif section not in SECTIONS + HEADINGS:
                raise self._error(f"unknown section {words[0]!r}")
            elif section.startswith("OBJSENSE-"):
                self._objsense([section[9:]])

    def _fields(self, line: str, section: str) -> list[str]:
        if not self.fixed or "\t" in line or section == "OBJSENSE":
            words = line.split()
            if "$" not in line:
                return words
            return words[: next((k for k, w in enumerate(words) if w.startswith("$") and k), len(words))]
        parts = [line[a:b].strip() for a, b in FIELDS]
        if section in ("ROWS", "BOUNDS"):
            return parts[:4] if section == "BOUNDS" else parts[:2]
        return parts[1:]

    def _number(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            try:
                value = float(text.upper().replace("D", "E"))  # Fortran's exponents
            except ValueError:
                raise self._error(f"{text!r} is not a number") from None
        if value != value or "_" in text:
            raise self._error(f"{text!r} is not a number")
        return value

    def _finite(self, text: str) -> float:
        value = self._number(text)
        if not math.isfinite(value):
            raise self._error(f"{text!r} must be finite")
        return value

    # ---- sections ------------------------------------------------------------------------------

    def _endata(self, words: list[str]) -> None:
        pass

    def _objsense(self, words: list[str]) -> None:
        goal = words[0].upper()
        if goal not in ("MAX", "MAXIMIZE", "MAXIMISE", "MIN", "MINIMIZE", "MINIMISE"):
            raise self._error(f"OBJSENSE must be MAX or MIN, not {words[0]!r}")
        self.maximize = goal.startswith("MAX")

    def _rows(self, words: list[str]) -> None:
        if len(words) != 2 or not words[1]:
            raise self._error("a row needs a type and a name")
        kind, name = words[0].upper(), words[1]
        if kind not in ("N", "L", "G", "E"):
            raise self._error(f"the type of row {name!r} must be N, L, G or E, not {words[0]!r}")
        if name in self.rows:
            raise self._error(f"row {name!r} is given twice")
        if kind == "N":
            self.objective = name if self.objective is None else self.objective
            self.rows[name] = -1 if self.objective == name else -2
        else:
            self.rows[name] = len(self.kinds)
            self.kinds.append(kind)

    def _row(self, name: str) -> int:
        if name not in self.rows:
            raise self._error(f"no row has the name {name!r}")
        return self.rows[name]

    def _pairs(self, words: list[str]) -> Iterator[tuple[int, float]]:
        """Rows and numbers, from pairs of fields."""
        if len(words) % 2:
            raise self._error("a name without a number")
        for name, text in zip(words[::2], words[1::2], strict=True):
            if name or text:
                yield self._row(name), self._finite(text)

    def _columns(self, words: list[str]) -> None:
        if len(words) > 2 and words[1].strip("'") == "MARKER":
            kind = next((w for w in words[2:] if w), "").strip("'")
            if kind not in ("INTORG", "INTEND"):
                raise self._error(f"unknown marker {kind!r}")
            self.is_integer = kind == "INTORG"
            return
        if len(words) < 3:
            raise self._error("a column needs a name, and pairs of a row and a number")
        name = words[0]
        if name not in self.columns:
            self.columns[name] = len(self.columns)
            self.integer.append(self.is_integer)
        elif self.columns[name] != len(self.columns) - 1:
            raise self._error(f"the entries of column {name!r} are not together")
        j = self.columns[name]
        for row, value in self._pairs(words[1:]):
            if row >= 0:
                self.where.append((row, j))
                self.values.append(value)
            elif row == -1:
                if j in self.cost:
                    raise self._error(f"column {name!r} has two entries in the objective")
                self.cost[j] = value

    def _of_set(self, section: str, words: list[str]) -> list[str] | None:
        """The fields after the set's name, which may be missing; None for another set than the first."""
        has_name = len(words) % 2 == 1
        chosen = self.sets.setdefault(section, words[0] if has_name else "")
        if has_name and words[0] != chosen:
            return None
        return words[1:] if has_name else words

    def _rhs(self, words: list[str]) -> None:
        self._sided("RHS", words, self.sides)

    def _ranges(self, words: list[str]) -> None:
        self._sided("RANGES", words, self.ranges)

    def _sided(self, section: str, words: list[str], into: dict[int, float]) -> None:
        pairs = self._of_set(section, words)
        for row, value in self._pairs(pairs or []):
            if row == -1 and section == "RHS":
                self.offset = -value
            elif row >= 0:
                if row in into:
                    raise self._error(f"a row has two entries in {section}")
                into[row] = value

    def _bounds(self, words: list[str]) -> None:
        kind = words[0].upper()
        if kind not in BARE and kind not in VALUED:
            raise self._error(f"the type of a bound must be one of {', '.join(VALUED + BARE)}, not {words[0]!r}")
        rest = [w for w in words[1:] if w] if self.fixed else words[1:]
        named = len(rest) >= 2 if kind in BARE else len(rest) == 3
        if kind in BARE and len(rest) == 2 and rest[0] in self.columns and rest[1] not in self.columns:
            named = False  # a number that has no meaning
        chosen = self.sets.setdefault("BOUNDS", rest[0] if named else "")
        if named and rest[0] != chosen:
            return
        rest = rest[1:] if named else rest
        if not rest or (kind in VALUED and len(rest) != 2):
            raise self._error(f"a bound of type {kind} needs a column" + (" and a number" if kind in VALUED else ""))
        if rest[0] not in self.columns:
            raise self._error(f"no column has the name {rest[0]!r}")
        self._bound(kind, rest[0], self._number(rest[1]) if kind in VALUED else 0.0)

    def _bound(self, kind: str, name: str, value: float) -> None:
        j = self.columns[name]
        if kind == "SC":
            raise self._error(f"column {name!r} is semi-continuous; this reads linear programs alone")
        if kind in ("LI", "UI", "BV"):
            self.integer[j] = True
        if kind in ("LO", "LI", "FX"):
            self.lower[j] = value
        if kind in ("UP", "UI", "FX"):
            self.upper[j] = value
            if value < 0 and kind != "FX" and j not in self.lower:
                self.lower[j] = -np.inf
        if kind in ("FR", "MI"):
            self.lower[j] = -np.inf
        if kind in ("FR", "PL"):
            self.upper[j] = np.inf
        if kind == "BV":
            self.lower[j], self.upper[j] = 0.0, 1.0

    # ---- the program ---------------------------------------------------------------------------

    def _program(self) -> LinearProgram:
        m, n = len(self.kinds), len(self.columns)
        if self.objective is None:
            raise self._error("no row of type N: the program has no objective")
        if n == 0:
            raise self._error("the program has no columns")
        i, j = np.array(self.where, dtype=np.int64).reshape(-1, 2).T
        self._check_single(i, j, n)
        A = scipy.sparse.csr_array((np.array(self.values), (i, j)), shape=(m, n))
        b, c, lb, ub = np.zeros(m), np.zeros(n), np.zeros(n), np.full(n, np.inf)
        for into, given in ((b, self.sides), (c, self.cost), (lb, self.lower), (ub, self.upper)):
            into[list(given)] = list(given.values())
        l, u = self._row_sides(b)
        integrality = np.array(self.integer) if any(self.integer) else None
        rows = tuple(name for name, row in self.rows.items() if row >= 0)
        return LinearProgram(
            c, A, l, u, lb, ub, self.offset, self.maximize, integrality, self.name, rows, tuple(self.columns)
        )

    def _check_single(self, i: Any, j: Any, n: int) -> None:
        keys, counts = np.unique(i * n + j, return_counts=True)
        if np.any(counts > 1):
            row, column = divmod(int(keys[np.argmax(counts)]), n)
            names = [name for name, k in self.rows.items() if k == row]
            raise self._error(f"column {list(self.columns)[column]!r} has two entries in row {names[0]!r}")

    def _row_sides(self, b: Any) -> tuple[Any, Any]:
        kinds = np.array(self.kinds, dtype="U1")
        l, u = np.where(kinds == "L", -np.inf, b), np.where(kinds == "G", np.inf, b)
        for row, r in self.ranges.items():
            if kinds[row] == "L":
                l[row] = u[row] - abs(r)
            elif kinds[row] == "G":
                u[row] = l[row] + abs(r)
            elif r >= 0:
                u[row] = l[row] + r
            else:
                l[row] = u[row] + r
        return l, u
