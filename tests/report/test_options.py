from __future__ import annotations

import pytest

from adjoint.report.options import parser

COMMANDS = ["solve", "gradient", "optimize", "check", "graph"]


@pytest.mark.parametrize("command", COMMANDS)
def test_all_commands_share_their_options(command: str) -> None:
    words = [
        command,
        "m.py",
        "--set",
        "a=1",
        "--set",
        "b=2",
        "--json",
        "--tol",
        "1e-8",
        "--method",
        "newton",
        "--quiet",
    ]
    args = parser("1").parse_args(words)
    assert args.command == command and args.model == "m.py" and args.set == ["a=1", "b=2"]
    assert args.json and args.quiet and not args.debug and args.tol == 1e-8 and args.method == "newton"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["solve"],
        ["solve", "m.py", "--tol", "small"],
        ["solve", "m.py", "--js"],  # no abbreviations, which later options would make ambiguous
        ["optimize", "m.py", "--minimize", "f", "--maximize", "g"],
        ["optimize", "m.py", "--formulation", "half"],
        ["solve", "m.py", "--of", "f"],
    ],
)
def test_wrong_usage_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser("1").parse_args(words)
    assert caught.value.code == 2
    assert "usage: adjoint" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], *([c, "--help"] for c in COMMANDS)])
def test_help_tells_the_exit_codes(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser("1").parse_args(words)
    assert caught.value.code == 0
    assert "exit codes: 0 done" in capsys.readouterr().out
