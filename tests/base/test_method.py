"""The registry: one declaration, refusals that help, plug-ins that cannot break the library."""

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import solvers
from solvers import Method, MethodError
from solvers._base import method as registry
from solvers._base.options import declared, option
from solvers._base.result import Status

SOURCES = (".py", ".pyx", ".pxi", ".c", ".h")


@dataclass(frozen=True)
class Nothing:
    """A solver that does nothing; its options cover every kind."""

    depth: int = option(3, "an integer", low=1, high=9, unit="levels")
    share: float | None = option(None, "a share", low=0.0, high=1.0)
    greedy: bool = option(False, "a switch")
    rule: float | str = option("auto", "a number, or a word", low=0.0, open=True, choices=("auto", "none"))

    def init(self, problem): ...
    def step(self, problem, state): ...
    def done(self, problem, state) -> Status | None: ...
    def finish(self, problem, state): ...


def record(**changes):
    fields = {"name": "nothing", "family": "ot", "summary": "Does nothing", "reference": "Nobody", "solver": Nothing}
    return Method(**{**fields, **changes})


@pytest.fixture(autouse=True)
def _fresh_registry(monkeypatch):
    solvers.methods()
    monkeypatch.setattr(registry, "_registry", dict(registry._registry))
    registry._load_plugins.cache_clear()
    yield
    registry._load_plugins.cache_clear()


def test_listing():
    names = ["newton", "sinkhorn", "sns", "ssns", "unbalanced-newton", "unbalanced-sinkhorn"]
    assert [m.name for m in solvers.methods("ot")] == names
    assert all(m.reference and m.summary for m in solvers.methods())
    for wrong in ("linlag", "special", 3):
        with pytest.raises(MethodError, match="there are no methods of a family"):
            solvers.methods(wrong)


def test_a_record_must_be_complete():
    for changes in ({"name": "No_Kebab"}, {"name": ""}, {"summary": ""}, {"reference": ""}, {"solver": int}):
        with pytest.raises(MethodError):
            solvers.register(record(**changes))


def test_a_name_is_taken_once():
    method = solvers.register(record())
    assert solvers.register(method) is method
    with pytest.raises(MethodError, match="already"):
        solvers.register(record(summary="Another"))


def test_options_come_from_the_fields():
    options = {o.name: o for o in declared(Nothing)}
    assert options["depth"].range == ">= 1 and <= 9"
    assert options["share"].range == ">= 0 and <= 1 or None"
    assert options["greedy"].range == "True or False"
    assert options["rule"].range == "> 0 or 'auto' or 'none'"
    assert options["rule"].check("none") == "none"
    assert options["rule"].check(2) == 2.0
    assert options["share"].check(None) is None
    assert options["share"].check(1) == 1.0
    assert options["greedy"].check(True) is True
    for name, value in (("depth", None), ("depth", 2.0), ("share", float("nan")), ("greedy", 1),
                        ("rule", "nothing"), ("rule", 0), ("rule", -1.0)):  # fmt: skip
        with pytest.raises(solvers.OptionError, match=name):
            options[name].check(value)


def test_misfit_names_what_is_missing_and_who_has_it():
    solvers.register(record(capabilities=frozenset({"dense-cost"})))
    with pytest.raises(MethodError, match="lacks point-cloud; methods that have it: newton, sinkhorn, sns"):
        solvers.ot.solve_sample([[0.0]], [[1.0]], reg=1, method="nothing")


def plugin(monkeypatch, value):
    point = EntryPoint(name="mine", group="solvers.methods", value=value)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])


def test_plugin(monkeypatch, tmp_path):
    (tmp_path / "my_plugin.py").write_text(
        "from solvers import Method, ot\n"
        "METHOD = Method(name='mine', family='ot', summary='s', reference='r', solver=ot.Sinkhorn,\n"
        "                capabilities=frozenset({'dense-cost'}))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    plugin(monkeypatch, "my_plugin:METHOD")
    assert solvers.ot.solve([[0, 1], [1, 0]], reg=1, method="mine").method == "mine"
    assert "mine" in [m.name for m in solvers.methods("ot")]


def test_broken_plugin_warns_once_and_is_skipped(monkeypatch):
    plugin(monkeypatch, "no_such_module:METHOD")
    with pytest.warns(RuntimeWarning, match="plug-in 'mine' is skipped"):
        assert "sns" in [m.name for m in solvers.methods("ot")]
    solvers.methods()  # warnings are errors here


def test_a_method_lives_in_few_files():
    """A method's own name stands in its file and in the places that describe it, not in lists.

    The integrations' names are those of their hosts, and another family, or a rule of block descent, may mean something
    else by a word.
    """
    root = Path(__file__).parents[2]
    found = [p for folder in ("solvers", "_ext") for p in (root / folder).rglob("*") if p.suffix in SOURCES]
    paths = [p.relative_to(root) for p in found]  # whatever the folders above are called
    paths = [p for p in paths if {"integrations", "blocks"}.isdisjoint(p.parts)]
    for method in solvers.methods():
        others = {"special", *registry.FAMILIES} - {method.family}
        naming = [p for p in paths if others.isdisjoint(p.parts) and f'"{method.name}"' in (root / p).read_text()]
        assert 1 <= len(naming) <= 8, [str(p) for p in naming]
