"""The options of the command line."""

from __future__ import annotations

import argparse

__all__ = ["ROWS", "parser"]

ROWS = 60  # of a table, without --all

EPILOG = """\
A model file is a Python file that has model or model() (an adjoint.Program, or a function under @adjoint.program),
problem or problem() (an adjoint.Problem), or any one program at its top; or an AMPL .nl file.

exit codes: 0 done; 1 the model failed: not solved, not optimal, structure or derivatives wrong; 2 wrong usage, or a
model file that does not load"""


def parser(version: str) -> argparse.ArgumentParser:
    """The options of all commands.

    >>> parser("1.0").parse_args(["gradient", "model.py", "--wrt", "x,y"]).wrt
    'x,y'
    """
    raw = argparse.RawDescriptionHelpFormatter
    words = "Solve, differentiate and optimize models."
    top = argparse.ArgumentParser(
        "adjoint", description=words, epilog=EPILOG, formatter_class=raw, allow_abbrev=False
    )
    top.add_argument("--version", action="version", version=f"adjoint {version}")
    commands = top.add_subparsers(
        dest="command", metavar="solve|gradient|optimize|check|graph", required=True
    )
    common = _common()

    def add(name: str, words: str) -> argparse.ArgumentParser:
        title = words[0].upper() + words[1:] + "."
        return commands.add_parser(
            name,
            parents=[common],
            help=words,
            description=title,
            epilog=EPILOG,
            formatter_class=raw,
            allow_abbrev=False,
        )

    p = add("solve", "solve all equations, and show the blocks and the values")
    p.add_argument("--sol", metavar="FILE.sol", help="write the solution of a .nl file as AMPL's solvers do")

    p = add("gradient", "solve, and show the gradient of an output")
    p.add_argument(
        "--of", metavar="NAME", help="the output, y, or an element, y[2] (default: the only output)"
    )
    p.add_argument("--wrt", metavar="NAMES", help="inputs, separated by commas (default: all)")
    p.add_argument("--multipliers", action="store_true", help="also the multiplier of every equation")

    p = add("optimize", "minimize or maximize an output")
    sense = p.add_mutually_exclusive_group()
    sense.add_argument("--minimize", metavar="NAME", help="the objective, for a file without a problem")
    sense.add_argument("--maximize", metavar="NAME", help="the same, upwards")
    p.add_argument(
        "--over", metavar="BOUNDS", action="append", default=[], help='what moves: "z1=-10:10,z2=0:,x"'
    )
    p.add_argument(
        "--subject-to",
        metavar="LIMITS",
        action="append",
        default=[],
        help='"y1>=3.16, 0<=y2<=24"; may be repeated',
    )
    p.add_argument(
        "--option", metavar="K=V", action="append", default=[], help="of the method, such as maxiter=200"
    )
    p.add_argument("--formulation", choices=["reduced", "full"], default="reduced", help="default: reduced")
    p.add_argument("--seed", type=int, help="of methods that draw random numbers")
    p.add_argument("--sol", metavar="FILE.sol", help="write the optimum of a .nl file as AMPL's solvers do")

    p = add("check", "check the structure, before any number; exit code 1 where it is wrong")
    p.add_argument("--derivatives", metavar="NAME", help="solve, and check the gradient of this output too")

    p = add("graph", "show the graph of the equations: DOT text, or pictures")
    p.add_argument("--output", metavar="FILE.dot", help="where the DOT text goes (default: stdout)")
    p.add_argument("--picture", metavar="FILE", help="draw the graph: .png, .svg or .pdf (needs matplotlib)")
    p.add_argument(
        "--matrix", metavar="FILE", help="draw the block triangular incidence matrix (needs matplotlib)"
    )
    return top


def _common() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(add_help=False)
    p.add_argument("model", metavar="MODEL", help="the model file, .py or .nl; MODEL.py:NAME chooses one of several")
    p.add_argument("--name", help="which program or problem of the file")
    p.add_argument("--objective", default="0", help="which objective of a .nl file, by number from 0 or by name")
    p.add_argument("--relax", action="store_true", help="leave out what a .nl file asks beyond a continuous problem")
    p.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="value of an input: 4, 1,2,3, [[1,2],[3,4]], @file.json, @file.csv, @file.npy; may be repeated",
    )
    p.add_argument(
        "--start",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="where the search for an unknown starts",
    )
    p.add_argument("--method", help="of the solver of cycles, or of the optimizer")
    p.add_argument("--tol", type=float, help="of the solver of cycles, or of the optimizer")
    p.add_argument("--json", action="store_true", help="the result as JSON on stdout, and nothing else there")
    p.add_argument("--all", action="store_true", help=f"all rows of tables, not the first {ROWS}")
    p.add_argument("--quiet", action="store_true", help="no tables, no progress, no warnings")
    p.add_argument("--debug", action="store_true", help="the traceback of an error")
    return p
