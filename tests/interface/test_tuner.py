"""The tuner of omega in the C interface against OmegaTuner: the same questions, and states that go to and fro."""

import ctypes
import json
import threading

import numpy as np
import pytest
from library import DOUBLES, LIBRARY, doubles, last_error

from solvers.linalg import OmegaTuner, learners, omega_grid

INVALID, STRUCT_SIZE, BUSY = -1, -3, -4
HANDLE, INT64 = ctypes.c_void_p, ctypes.c_int64


class Options(ctypes.Structure):
    """sv_omega_options."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("count", ctypes.c_size_t), ("low", ctypes.c_double),
        ("high", ctypes.c_double), ("omegas", DOUBLES), ("learner", ctypes.c_char_p), ("context", DOUBLES),
        ("drift", ctypes.c_char_p), ("cost_floor", ctypes.c_double), ("key", ctypes.c_char_p),
        ("seed", ctypes.c_uint64), ("seed_words", ctypes.POINTER(ctypes.c_uint32)), ("option_count", ctypes.c_size_t),
        ("option_names", ctypes.POINTER(ctypes.c_char_p)), ("option_values", DOUBLES),
    )  # fmt: skip

    def __init__(self, **given):
        super().__init__(ctypes.sizeof(Options), 20, 1.0, 1.98)
        self.cost_floor = 1.0
        for name, value in given.items():
            setattr(self, name, value)


def function(name, *kinds):
    found = getattr(LIBRARY, f"sv_omega_tuner_{name}")
    found.argtypes, found.restype = kinds, ctypes.c_int
    return found


ask = function("ask", HANDLE, ctypes.c_double, DOUBLES, ctypes.POINTER(INT64))
tell = function("tell", HANDLE, INT64, ctypes.c_double)
create = function("create", ctypes.POINTER(HANDLE), ctypes.c_void_p)
save = function("save", HANDLE, ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_size_t))
load = function("load", HANDLE, ctypes.c_char_p, ctypes.c_size_t)
pending = function("pending", HANDLE, ctypes.c_size_t, ctypes.POINTER(INT64), DOUBLES, ctypes.POINTER(ctypes.c_size_t))
probabilities = function("probabilities", HANDLE, ctypes.c_double, DOUBLES)
best = function("best", HANDLE, ctypes.c_double, DOUBLES)
told = function("told", HANDLE, ctypes.POINTER(INT64), DOUBLES)
LIBRARY.sv_omega_tuner_destroy.argtypes = (HANDLE,)
LIBRARY.sv_omega_tuner_destroy.restype = None
LIBRARY.sv_omega_tuner_count.argtypes = (HANDLE,)
LIBRARY.sv_omega_tuner_count.restype = ctypes.c_size_t


class Tuner:
    """A handle; the keywords are those of OmegaTuner and sv_omega_options."""

    def __init__(self, context=None, options=None, omegas=None, words=None, **given):
        kept = {name: value.encode() if isinstance(value, str) else value for name, value in given.items()}
        if context is not None:
            kept["context"] = (ctypes.c_double * 2)(*context)
        if omegas is not None:
            kept["count"], kept["omegas"] = len(omegas), (ctypes.c_double * len(omegas))(*omegas)
        if words is not None:
            kept["seed_words"] = (ctypes.c_uint32 * 4)(*words)
        if options:
            kept["option_count"] = len(options)
            kept["option_names"] = (ctypes.c_char_p * len(options))(*(name.encode() for name in options))
            kept["option_values"] = (ctypes.c_double * len(options))(*options.values())
        self.handle = HANDLE()
        self.status = create(self.handle, ctypes.byref(Options(**kept)))

    def __del__(self):
        LIBRARY.sv_omega_tuner_destroy(self.handle)

    def ask(self, context=None):
        omega, number = ctypes.c_double(), INT64()
        assert ask(self.handle, 0.0 if context is None else context, omega, number) == 0
        return omega.value, number.value

    def state(self):
        length = ctypes.c_size_t()
        assert save(self.handle, None, 0, length) == 0
        text = ctypes.create_string_buffer(length.value + 1)
        assert save(self.handle, text, len(text), length) == 0
        assert len(text.value) == length.value
        return text.value.decode()

    def load(self, text):
        return load(self.handle, text.encode(), len(text.encode()))

    def probabilities(self, context=None):
        p = np.empty(LIBRARY.sv_omega_tuner_count(self.handle))
        assert probabilities(self.handle, context or 0.0, doubles(p)) == 0
        return p


def cost(omega, context, rng):
    return float(20 + 300 * abs(omega - 1.6 - 0.1 * (context or 0)) + rng.uniform(0, 5))


def run(python, mine, steps, seed, key=""):
    """Both are asked and told the same, some answers late and out of order, some never."""
    rng, open_ = np.random.default_rng(seed), []
    for _ in range(steps):
        context = None if python._arms.context is None else float(rng.uniform(-0.1, 1.1))
        question, (omega, number) = python.ask(context, key=key), mine.ask(context)
        assert (omega, number) == (question.value, question.token)
        open_.append((question, number))
        while open_ and rng.uniform() < 0.6:
            question, number = open_.pop(int(rng.integers(len(open_))))
            paid = cost(question.value, question.context, rng)
            python.tell(question, paid)
            assert tell(mine.handle, number, paid) == 0
        if open_ and rng.uniform() < 0.05:  # never answered
            open_.pop()


CASES = [
    {"learner": "tsallis-dr"}, {"learner": "tsallis"}, {"learner": "tsallis-rv"},
    {"learner": "tsallis-rv", "options": {"paper": 1}},
    *({"learner": "tsallis-dr", "drift": drift} for drift in ("auto", "discount", "window", "reset")),
    {"learner": "tsallis-dr", "drift": "window", "options": {"window": 30}},
    {"learner": "binned", "context": (0.0, 1.0), "options": {"bins": 4}},
    {"learner": "binned", "context": (0.0, 1.0), "options": {"paper": 1}},
    {"learner": "chebcb", "context": (0.0, 1.0)}, {"learner": "chebcb", "context": (0.0, 1.0), "options": {"terms": 4}},
    {"learner": "gp", "context": (0.0, 1.0)}, {"context": (0.0, 1.0), "options": {"noise": 0.2, "context_length": 0.3}},
    {"learner": "gp-forgetting"}, {},
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case.values())) or "default")
def test_the_same_questions_and_states_as_python_that_go_to_and_fro(case):
    options = dict(case.get("options", {}))
    in_python = {**case, "options": {k: bool(v) if k == "paper" else v for k, v in options.items()}}
    python, mine = OmegaTuner(**in_python, rng=7), Tuner(**case, seed=7)
    assert mine.status == 0, last_error()
    run(python, mine, 60, 1)
    context = 0.3 if "context" in case else None
    assert mine.probabilities(context).tobytes() == python.probabilities(context).tobytes()
    assert json.loads(mine.state()) == python.state_dict()
    # a Python tuner from the text of C, and a C tuner from that of Python, go on alike
    after, again = OmegaTuner(**in_python, rng=99), Tuner(**case, seed=98)
    after.load_state_dict(json.loads(mine.state()))
    assert again.load(json.dumps(python.state_dict())) == 0, last_error()
    run(after, again, 40, 2)
    assert json.loads(again.state()) == after.state_dict()


@pytest.mark.parametrize("seed", [0, 5, 2**32 - 1, 2**32, 2**64 - 1])
def test_seeds(seed):
    tuner = Tuner(seed=seed)
    words = json.loads(tuner.state())["seed"]
    assert words == OmegaTuner(rng=seed).state_dict()["seed"]
    assert json.loads(Tuner(words=words).state())["seed"] == words


def test_values_and_keys():
    given = [1.9, 1.2, 1.5]
    python, mine = OmegaTuner(given, rng=3, cost_floor=2.0), Tuner(omegas=given, seed=3, cost_floor=2.0, key='pé"s')
    run(python, mine, 50, 4, key='pé"s')
    assert json.loads(mine.state()) == python.state_dict()
    found = np.empty(3)
    assert LIBRARY.sv_omega_tuner_omegas(mine.handle, doubles(found)) == 0
    assert found.tolist() == given
    counts, costs = (INT64 * 3)(), np.empty(3)
    assert told(mine.handle, counts, doubles(costs)) == 0
    assert list(counts) == list(python.value_counts('pé"s').values())
    assert costs.sum() == pytest.approx(python.report('pé"s')["total_cost"])
    omega = ctypes.c_double()
    assert best(mine.handle, 0.0, omega) == 0
    assert omega.value == python.best(key='pé"s')
    # of a state with several keys, its own; without its own, anew
    python.ask(key="other")
    again, other = Tuner(omegas=given, key='pé"s', cost_floor=2.0), Tuner(omegas=given, key="new", cost_floor=2.0)
    for tuner, key in ((again, 'pé"s'), (other, "new")):
        assert tuner.load(json.dumps(python.state_dict(), indent=2)) == 0, last_error()
        run(python, tuner, 5, 5, key)


def test_the_default_values_are_pythons():
    found = np.empty(20)
    assert LIBRARY.sv_omega_tuner_omegas(Tuner().handle, doubles(found)) == 0
    assert found.tobytes() == omega_grid().tobytes()
    grid = LIBRARY.sv_omega_grid
    grid.argtypes = (ctypes.c_size_t, ctypes.c_double, ctypes.c_double, DOUBLES)
    few = np.empty(7)
    assert grid(7, 0.5, 1.9, doubles(few)) == 0
    assert few.tobytes() == omega_grid(7, low=0.5, high=1.9).tobytes()
    assert grid(7, 1.9, 0.5, doubles(few)) == INVALID
    assert grid(0, 0.5, 1.9, doubles(few)) == INVALID


def test_options_are_those_that_python_declares():
    for learner in learners():
        context = (0.0, 1.0) if learner.contextual else None
        for option in learner.options:
            for value in {option.default, option.low, option.high} - {None}:
                if option.type is bool and not isinstance(value, bool):
                    continue
                case = {"learner": learner.name, "context": context, "options": {option.name: value}}
                python = OmegaTuner(**case, drift="auto" if option.name == "discount" else None)
                mine = Tuner(**case, **({"drift": "auto"} if option.name == "discount" else {}))
                assert mine.status == 0, last_error()
                assert json.loads(mine.state())["settings"] == python.state_dict()["settings"], (learner, option)
            below = -0.5 if option.type is bool else option.low - 0.01
            assert Tuner(learner=learner.name, context=context, options={option.name: below}).status == INVALID
        assert Tuner(learner=learner.name, context=context, options={"nonsense": 1}).status == INVALID


def test_pending_questions():
    tuner = Tuner()
    asked = [tuner.ask() for _ in range(1030)]
    ids, omegas, count = (INT64 * 1024)(), np.empty(1024), ctypes.c_size_t()
    assert pending(tuner.handle, 1024, ids, doubles(omegas), count) == 0
    assert count.value == 1024
    assert [*zip(omegas.tolist(), ids, strict=True)] == asked[6:]
    assert tell(tuner.handle, 3, 1.0) == INVALID
    assert "not open" in last_error()
    assert tell(tuner.handle, 6, 1.0) == 0
    assert tell(tuner.handle, 6, 1.0) == INVALID
    assert tell(tuner.handle, 1000, 1.0) == 0
    assert json.loads(tuner.state())["keys"][""]["pending"][0][0] == 7


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"omegas": [1.0, 2.0]}, "options->omegas[1]"), ({"omegas": [1.0, float("nan")]}, "options->omegas[1]"),
        ({"omegas": [1.0, 1.5, 1.0]}, "options->omegas[2]"), ({"count": 0}, "options->count"),
        ({"count": 2**62}, "options->count"), ({"low": 1.99}, "low"), ({"learner": "best"}, "options->learner"),
        ({"learner": "gp"}, "options->learner"), ({"context": (1.0, 0.0)}, "options->context"),
        ({"context": (0.0, float("inf"))}, "options->context"), ({"drift": "slow"}, "options->drift"),
        ({"learner": "tsallis", "drift": "auto"}, "options->drift"), ({"cost_floor": -1.0}, "options->cost_floor"),
        ({"cost_floor": float("nan")}, "options->cost_floor"), ({"key": "k" * 300}, "options->key"),
        ({"learner": "tsallis", "context": (0.0, 1.0)}, "options->learner"), ({"key": "a\nb"}, "options->key"),
        ({"option_count": 2}, "options->option_names"),
    ],
)  # fmt: skip
def test_wrong_options(given, name):
    tuner = Tuner(**given)
    assert tuner.status in (INVALID, -2)
    assert last_error().startswith(name)
    assert not tuner.handle


def test_wrong_calls_change_nothing():
    assert create(None, None) == INVALID
    for size in (0, 8, ctypes.sizeof(Options) + 8):
        assert create(HANDLE(), ctypes.byref(Options(struct_size=size))) == STRUCT_SIZE
    tuner = Tuner(context=(0.0, 1.0))
    omega, number = ctypes.c_double(7.0), INT64(7)
    assert ask(None, 0.0, omega, number) == INVALID
    assert ask(tuner.handle, 0.0, None, number) == INVALID
    assert ask(tuner.handle, float("nan"), omega, number) == INVALID
    assert (omega.value, number.value) == (7.0, 7)
    _, asked = tuner.ask(0.5)
    before = tuner.state()
    for wrong in (-1.0, float("nan"), float("inf")):
        assert tell(tuner.handle, asked, wrong) == INVALID
    assert tell(tuner.handle, -1, 1.0) == tell(tuner.handle, 99, 1.0) == tell(None, 0, 1.0) == INVALID
    room, length = ctypes.create_string_buffer(b"abc"), ctypes.c_size_t()
    assert save(tuner.handle, room, 3, length) == INVALID
    assert room.value == b"abc"
    assert length.value == len(before)
    assert load(tuner.handle, None, 0) == best(None, 0.0, omega) == told(None, None, None) == INVALID
    assert tuner.state() == before
    LIBRARY.sv_omega_tuner_destroy(None)


def damaged(state, rng):
    """Texts that a tuner with this state may not load."""
    text = json.dumps(state)
    yield from (text[:cut] for cut in rng.integers(0, len(text), 40))
    yield from ("", "null", "[]", "{}", "[" * 100_000, text + "x", text.replace(":", "", 1), '{"a": "\\u12"}', "\0")
    for name in ("version", "learner", "values", "context", "drift", "settings", "floor", "seed", "keys"):
        yield json.dumps({**state, name: 17})
        yield json.dumps({key: value for key, value in state.items() if key != name})
    learner = state["keys"][""]
    pending = learner["pending"][0]
    wrong = [
        {"asked": -1}, {"asked": 0.5}, {"asked": 10**400}, {"words": ["0" * 16] * 4}, {"words": ["xyz"] * 4},
        {"state": learner["state"][1:]}, {"state": [*learner["state"][1:], "x"]}, {"counts": [0.5] * 20},
        {"costs": [None] * 20}, {"pending": [pending, pending]}, {"pending": [[*pending[:1], 20, *pending[2:]]]},
        {"pending": [[10**6, *pending[1:]]]}, {"pending": [pending[:-1]]},
        {"pending": [[*pending[:3], 0.0, *pending[4:]]]}, {"costs": [float("nan")] * 20},
    ]  # fmt: skip
    yield from (json.dumps({**state, "keys": {"": {**learner, **one}}}) for one in wrong)


def test_damaged_states_are_refused_and_change_nothing():
    tuner = Tuner(seed=8)
    for _ in range(5):
        tuner.ask()
    before = tuner.state()
    for text in damaged(json.loads(before), np.random.default_rng(9)):
        assert tuner.load(text) == INVALID, text[:200]
        assert last_error().startswith("text")
        assert tuner.state() == before
    assert tuner.load(before) == 0
    assert tuner.state() == before


def test_a_busy_handle_is_refused_and_threads_with_their_own_are_not():
    """Asking from eight threads at once: each call is served or refused, and none is lost."""
    tuner, alone = Tuner(learner="gp", context=(0.0, 1.0)), [Tuner(learner="tsallis-dr", seed=k) for k in range(4)]
    served, refused, traces = [], [], {}

    def shared():
        omega, number = ctypes.c_double(), INT64()
        for _ in range(200):
            status = ask(tuner.handle, 0.5, omega, number)
            (served if status == 0 else refused).append(number.value if status == 0 else status)

    def own(k):
        traces[k] = []
        for _ in range(100):
            omega, number = alone[k].ask()
            tell(alone[k].handle, number, 10 * omega)
            traces[k].append(omega)

    threads = [threading.Thread(target=shared) for _ in range(4)]
    threads += [threading.Thread(target=own, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(served) == list(range(len(served)))
    assert set(refused) <= {BUSY}
    for k in range(4):
        python = OmegaTuner(rng=k)
        for omega in traces[k]:
            question = python.ask()
            assert question.value == omega
            python.tell(question, 10 * omega)
