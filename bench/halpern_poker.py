"""Poker of two players in sequence form, as a linear program: Kuhn's and Leduc hold'em, by their rules.

A sequence is what a player has done on the way to somewhere; a plan gives each its probability, as far as it is the
player's own. Plans x with E x = e and y with F y = f, x, y >= 0, win the first player x'A y, so the second's best plan
is that of

    min e'p   subject to   E'p - A y >= 0,   F y = f,   y >= 0

(von Stengel, 1996, Games and Economic Behavior 14), whose value is the game's and whose multipliers are x.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse

from .halpern_problems import Program, Source


@dataclass
class Plan:
    """A player's sequences: number 0 is that of having done nothing."""

    count: int = 1
    #: What the player knows -> the sequence that led there, and that of each action.
    places: dict[str, tuple[int, dict[str, int]]] = field(default_factory=dict)

    def after(self, knows: str, sequence: int, action: str) -> int:
        """The sequence that ends with this action."""
        _, actions = self.places.setdefault(knows, (sequence, {}))
        if action not in actions:
            actions[action] = self.count
            self.count += 1
        return actions[action]

    def constraints(self) -> scipy.sparse.csr_array:
        """E: the first sequence is 1, and those of a place add up to the one that led there."""
        E = scipy.sparse.lil_array((1 + len(self.places), self.count))
        E[0, 0] = 1.0
        for row, (before, actions) in enumerate(self.places.values(), 1):
            E[row, before] = -1.0
            for sequence in actions.values():
                E[row, sequence] = 1.0
        return E.tocsr()


@dataclass
class Poker:
    """Each player antes 1 and gets a card; in each round bets of its stake follow, so many raises at most.

    After the first of two rounds a card is laid open; who has its like wins, else the higher card.
    """

    ranks: int
    suits: int
    stakes: tuple[int, ...]
    raises: int
    plans: tuple[Plan, Plan] = field(default_factory=lambda: (Plan(), Plan()))
    payoffs: dict[tuple[int, int], float] = field(default_factory=dict)

    def program(self) -> Program:
        """The second player's."""
        for cards in itertools.product(range(self.ranks), repeat=1 + len(self.stakes)):
            chance = self._chance(cards)
            if chance:
                self._bet(cards, chance, "", 0, (1, 1), self.raises, False, (0, 0))
        E, F = (plan.constraints() for plan in self.plans)
        (m, n), places = (plan.count for plan in self.plans), E.shape[0]
        where = np.array(list(self.payoffs)).T
        A = scipy.sparse.csr_array((list(self.payoffs.values()), (where[0], where[1])), shape=(m, n))
        rows = scipy.sparse.csr_array(scipy.sparse.block_array([[-A, E.T], [F, None]]))
        first = np.eye(1, F.shape[0])[0]
        return Program(
            np.append(np.zeros(n), np.eye(1, places)[0]), rows, np.append(np.zeros(m), first),
            np.append(np.full(m, np.inf), first), np.append(np.zeros(n), np.full(places, -np.inf)),
            np.full(n + places, np.inf),
        )  # fmt: skip

    def _chance(self, cards: tuple[int, ...]) -> float:
        """The probability of these ranks."""
        found, left = 1.0, self.ranks * self.suits
        for k, card in enumerate(cards):
            found *= max(self.suits - cards[:k].count(card), 0) / (left - k)
        return found

    def _bet(
        self, cards: tuple[int, ...], chance: float, past: str, mover: int, pot: tuple[int, int], raises: int,
        facing: bool, done: tuple[int, int],
    ) -> None:  # fmt: skip
        """All that may follow: `past` is what all have seen, `done` the players' sequences."""
        rounds, opponent = past.count("/"), 1 - mover
        board = str(cards[2]) if rounds else ""
        checked = past.endswith("c") and not facing

        def moved(action: str) -> tuple[int, int]:
            sequence = self.plans[mover].after(f"{cards[mover]}{board}:{past}", done[mover], action)
            return (sequence, done[1]) if mover == 0 else (done[0], sequence)

        if facing:
            self._win(chance, pot[mover] * (1 if mover else -1), moved("fold"))
        even = (max(pot), max(pot))
        if not (facing or checked):
            self._bet(cards, chance, past + "c", opponent, pot, raises, False, moved("call"))
        elif rounds + 1 < len(self.stakes):
            self._bet(cards, chance, past + "c/", 0, even, self.raises, False, moved("call"))
        else:
            self._win(chance, even[0] * self._better(cards), moved("call"))
        if raises:
            more = max(pot) + self.stakes[rounds]
            raised = (more, pot[1]) if mover == 0 else (pot[0], more)
            self._bet(cards, chance, past + "r", opponent, raised, raises - 1, True, moved("raise"))

    def _better(self, cards: tuple[int, ...]) -> int:
        """1 where the first player has the better hand, -1 where the second, 0 where neither."""
        first, second = ((card in cards[2:], card) for card in cards[:2])
        return (first > second) - (first < second)

    def _win(self, chance: float, amount: int, done: tuple[int, int]) -> None:
        self.payoffs[done] = self.payoffs.get(done, 0.0) + chance * amount


def kuhn(ranks: int = 3) -> Program:
    """Kuhn's game (1950), with three cards; its value is -1/18."""
    return Poker(ranks, 1, (1,), 1).program()


def leduc(ranks: int = 3) -> Program:
    """Leduc hold'em (Southey et al., 2005), with two suits of three ranks; its value is -0.0856."""
    return Poker(ranks, 2, (2, 4), 2).program()


def games() -> list[Source]:
    """Those of the comparison."""
    return [
        Source("poker, Kuhn, 3 cards", kuhn), Source("poker, Kuhn, 13 cards", lambda: kuhn(13)),
        Source("poker, Leduc, 3 ranks", leduc), Source("poker, Leduc, 6 ranks", lambda: leduc(6)),
    ]  # fmt: skip
