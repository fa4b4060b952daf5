"""The command line: ``python -m solvers {demo, methods, config}``."""

from __future__ import annotations

import argparse
import json


def show_methods() -> None:
    """Every registered method with its options."""
    from . import methods

    for method in methods():
        print(f"{method.family}.{method.name}: {method.summary}\n    {method.reference}")
        for option in method.options:
            unit = f" {option.unit}" if option.unit else ""
            print(f"    {option.name} = {option.default}{unit} ({option.range}): {option.text}")


def show_config() -> None:
    """Version, instruction-set level, threads."""
    from . import show_config

    print(json.dumps(show_config(), indent=2))


def main() -> None:
    """Parse the arguments and run the command."""
    parser = argparse.ArgumentParser(prog="python -m solvers", description="Numerical solvers.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("methods", help="list the methods and their options").set_defaults(run=show_methods)
    commands.add_parser("config", help="show version, instruction-set level and threads").set_defaults(run=show_config)
    parser.parse_args().run()


if __name__ == "__main__":
    main()
