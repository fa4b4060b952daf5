"""The command line: ``python -m solvers {demo, methods, config}``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
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


def show_config(**asked: bool) -> None:
    """Version, instruction-set level, threads; or what was asked for, on one line."""
    from ._base import config

    answers: dict[str, Callable[[], str]] = {
        "cflags": config.compile_flags,
        "libs": config.link_flags,
        "includedir": config.get_include,
        "libdir": config.get_library_dir,
        "pkgconfigdir": lambda: config.find_package_files("pkgconfig"),
        "cmakedir": lambda: config.find_package_files("cmake/solvers"),
    }
    words = [answers[name]() for name in answers if asked.get(name)]
    if not words:
        print(json.dumps(config.show_config(), indent=2))
        return
    # the bytes of the paths, whatever encoding the terminal claims
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(" ".join(words)) + b"\n")


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """What a build of another program asks for."""
    for name, text in (
        ("cflags", "a C compiler's options to find the header, quoted for a shell"),
        ("libs", "its options to link the library and to find it at run time, quoted for a shell"),
        ("includedir", "the folder of solvers.h, solvers.hpp and solvers.f90"),
        ("libdir", "the folder of the library"),
        ("pkgconfigdir", "the folder of solvers.pc"),
        ("cmakedir", "the folder of the CMake package"),
    ):
        parser.add_argument(f"--{name}", action="store_true", help=text)


def config() -> None:
    """The command solvers-config."""
    parser = argparse.ArgumentParser(
        prog="solvers-config", description="Where a program in another language finds the library."
    )
    add_config_options(parser)
    run(show_config, vars(parser.parse_args()))


def run(command: Callable[..., None], arguments: dict[str, Any]) -> None:
    """Run a command; a file that is not there ends the program with its name, a closed pipe without a word."""
    try:
        command(**arguments)
        sys.stdout.flush()
    except FileNotFoundError as error:
        sys.exit(str(error))
    except BrokenPipeError:
        # the interpreter flushes once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    found = commands.add_parser("config", help="show version, level and threads, or where header and library lie")
    add_config_options(found)
    found.set_defaults(run=show_config)
    arguments = vars(parser.parse_args())
    arguments.pop("command")
    run(arguments.pop("run"), arguments)


if __name__ == "__main__":
    main()
