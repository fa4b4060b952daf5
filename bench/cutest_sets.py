"""Lists of CUTEst problems: the equality-constrained ones of the paper, a harder list, and the general set.

Paper: Hong, Na, Mahoney, Kolar, ICML 2023, arXiv 2305.18379; six of its 47 problems are not in S2MPJ.
"""

from __future__ import annotations

PAPER = (
    "HS6", "BT5", "BT9", "HS28", "BT10", "HIMMELBA", "BT12", "HS40", "BT3", "BT6", "BT11", "HS7", "GENHS28", "HS51",
    "BOOTH", "HS52", "HS47", "WAYSEA1NE", "HS48", "HS50", "RSNBRNE", "CUBENE", "HS77", "MWRIGHT", "ZANGWIL3", "BA-L1SP",
    "HS78", "HS56", "HELIXNE", "HS42", "HS79", "ORTHREGB", "HS100LNP", "GOTTFR", "WAYSEA2NE", "DENSCHNFNE", "HIMMELBC",
    "PRICE4NE", "INTEQNE", "MANCINONE", "BT2",
)  # fmt: skip

#: Curved, degenerate or with rank-deficient Jacobians.
HARDER = (
    "BT1", "BT4", "BT7", "BT8", "BYRDSPHR", "DIXCHLNG", "FLT", "HS26", "HS27", "HS39", "HS46", "HS49", "HS61",
    "MARATOS", "MSS1", "S316-322", "STREGNE",
)  # fmt: skip


def general() -> tuple[str, ...]:
    """All with an objective, at most 50 variables and 100 rows, of one size, that have inequalities or bounds."""
    from solvers.testing import cutest_table

    return tuple(
        row["problem_name"]
        for row in cutest_table()
        if 0 < int(row["mcon"]) <= 100 and int(row["dim"]) <= 50 and row["isfeasibility"] == "0" and not row["dims"]
        and (int(row["m_ub"]) > 0 or int(row["mb"]) > 0)
    )  # fmt: skip


SETS = {"paper": lambda: PAPER, "harder": lambda: HARDER, "general": general}
