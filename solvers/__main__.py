"""The command line: ``python -m solvers {demo, methods, config}``."""

from __future__ import annotations

import argparse
import json
from typing import Any


def show_methods() -> None:
    """Every registered method with its options; then the learners of the tuners."""
    from . import linalg, methods

    entries: list[Any] = [*methods(), *linalg.learners()]
    for method in entries:
        print(f"{method.family}.{method.name}: {method.summary}\n    {method.reference}")
        for option in method.options:
            unit = f" {option.unit}" if option.unit else ""
            print(f"    {option.name} = {option.default}{unit} ({option.range}): {option.text}")


def show_config() -> None:
    """Version, instruction-set level, threads."""
    from . import show_config

    print(json.dumps(show_config(), indent=2))


def run_demo(output: str, threads: int | None) -> None:
    """Solve real problems beside their usual package; a table and a page with pictures."""
    from .demo import demo

    demo(output, threads)


def count(text: str) -> int:
    """An argument that is an integer >= 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer >= 1, not {text!r}")
    return int(text)


def main() -> None:
    """Parse the arguments and run the command."""
    parser = argparse.ArgumentParser(prog="python -m solvers", description="Numerical solvers.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo", help="solve real problems beside their usual package; write a page with pictures"
    )
    demo.add_argument("--output", default="build/demo", metavar="DIR", help="where to write (default: build/demo)")
    demo.add_argument(
        "--threads", type=count, metavar="N", help="threads of both sides (default: the cores, at most 8)"
    )
    demo.set_defaults(run=run_demo)
    commands.add_parser("methods", help="list the methods and their options").set_defaults(run=show_methods)
    commands.add_parser("config", help="show version, instruction-set level and threads").set_defaults(run=show_config)
    arguments = vars(parser.parse_args())
    arguments.pop("command")
    arguments.pop("run")(**arguments)


if __name__ == "__main__":
    main()
