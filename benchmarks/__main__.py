"""Run benchmarks: ``python -m benchmarks NAME [--repeat 7] [--json]``; without a name, list them."""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from .harness import Row, as_dict, environment, format_table

FOLDER = Path(__file__).parent
NOT_BENCHMARKS = frozenset({"__init__", "__main__", "harness"})


def benchmarks() -> dict[str, str]:
    """Name and first docstring line of every benchmark."""
    paths = [p for p in sorted(FOLDER.glob("*.py")) if p.stem not in NOT_BENCHMARKS]
    return {path.stem: _first_line(path) for path in paths if not path.stem.startswith("_")}


def _first_line(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def run(name: str, repeat: int) -> list[Row]:
    """The rows of one benchmark."""
    return importlib.import_module(f"{__package__}.{name}").run(repeat)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 where a benchmark failed."""
    known = benchmarks()
    parser = argparse.ArgumentParser("python -m benchmarks", description="Time adjoint beside its peers.")
    parser.add_argument("name", nargs="?", choices=[*known, "all"], metavar="NAME", help="one name, or: all")
    parser.add_argument("--repeat", type=int, default=7, help="samples per figure; the median counts")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    chosen = parser.parse_args(arguments)
    if chosen.repeat < 1:
        parser.error("--repeat must be at least 1")
    if chosen.name is None:
        width = max(map(len, known), default=0)
        print("\n".join(f"{name:<{width}}  {words}" for name, words in known.items()))
        return 0
    return _run_all(list(known) if chosen.name == "all" else [chosen.name], chosen.repeat, chosen.json)


def _run_all(names: list[str], repeat: int, as_json: bool) -> int:
    results: dict[str, list[Row]] = {}
    failed = []
    for name in names:
        try:
            results[name] = run(name, repeat)
        except Exception:
            # One broken benchmark does not cost the figures of the others.
            failed.append(name)
            traceback.print_exc()
            continue
        if not as_json:
            print(f"{name}: {benchmarks()[name]}\n\n{format_table(results[name])}\n", flush=True)
    where = environment()
    if as_json:
        rows = [{"benchmark": name, **as_dict(row)} for name, table in results.items() for row in table]
        print(json.dumps({"environment": where, "rows": rows, "failed": failed}, indent=2))
    else:
        print("\n".join(f"{key}: {value}" for key, value in where.items()))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
