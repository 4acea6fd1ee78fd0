"""The pages of docs/api and the tree of the README say what is there: every public name once, with its signature.

A heading ``## `name(signature)` `` documents a name of ``adjoint.__all__``; a list item ``- `member(signature)` ``
below it, a member of that class.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import adjoint as adj

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs" / "api").glob("*.md"))

HEADING = re.compile(r"^#{2,3} `(?P<name>\w+)(?P<signature>\(.*\))?`$")
ITEM = re.compile(r"^- (?P<members>(?:`[^`]+`,? ?)+):")
MEMBER = re.compile(r"`(?P<name>\w+)(?P<signature>\(.*\))?`")

# Classes that users call the methods of: all of their public methods are on the pages.
COMPLETE = [adj.Program, adj.Solution, adj.Function, adj.Lagrangian, adj.Problem, adj.TracedFunction]


@dataclass(frozen=True)
class Entry:
    """A name on a page: the class it belongs to ("" for the package itself), and the signature shown, if any."""

    owner: str
    name: str
    signature: str | None
    place: str


def entries(text: str, page: str) -> list[Entry]:
    """The names that a page documents. List items that run over several lines are joined first."""
    found = []
    owner = ""
    for line in _joined(text):
        if match := HEADING.match(line):
            owner = match["name"]
            found.append(Entry("", owner, match["signature"], f"{page}: {owner}"))
        elif line.startswith("#"):
            owner = ""
        elif match := ITEM.match(line):
            for member in MEMBER.finditer(match["members"]):
                found.append(Entry(owner, member["name"], member["signature"], f"{page}: {owner}.{member['name']}"))
    return found


def _joined(text: str) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"\n  (?=\S)", " ", text).splitlines()


ENTRIES = [entry for page in PAGES for entry in entries(page.read_text(encoding="utf-8"), page.name)]


def signature_of(thing: Any, bound: bool = False) -> str:
    """The signature of a callable without annotations; of a class, what makes one."""
    signature = inspect.signature(thing)
    parameters = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    if bound:
        parameters = parameters[1:]
    return str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


def member_of(owner: type, name: str) -> Any:
    """A member of a class; None for an attribute that its instances have."""
    for base in owner.__mro__:
        if name in vars(base):
            return vars(base)[name]
    sources = [inspect.getsource(base) for base in owner.__mro__ if base.__module__.startswith("adjoint")]
    pattern = rf"^    {name}: |self(?:\.\w+, self)*\.{name}\b[^=(\n]*="
    assert any(re.search(pattern, source, re.MULTILINE) for source in sources), f"{owner.__name__} has no {name}"
    return None


def public_methods(owner: type) -> set[str]:
    """Public methods and properties that the library defines for a class."""
    return {
        name
        for base in owner.__mro__
        if base.__module__.startswith("adjoint")
        for name, thing in vars(base).items()
        if not name.startswith("_") and (callable(thing) or isinstance(thing, (property, classmethod, staticmethod)))
    }


def test_every_public_name_is_on_one_page() -> None:
    pages = Counter(entry.name for entry in ENTRIES if not entry.owner)
    assert {name: n for name, n in pages.items() if n > 1} == {}
    assert sorted(set(adj.__all__) - set(pages)) == [], "add a section to a page in docs/api"
    assert sorted(set(pages) - set(adj.__all__)) == [], "the pages document names that are not public"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.place)
def test_what_a_page_names_exists(entry: Entry) -> None:
    if not entry.owner:
        thing = getattr(adj, entry.name)
        if entry.signature is not None:
            assert entry.signature == signature_of(thing)
        else:
            assert isinstance(thing, type), f"show the signature of {entry.name}{signature_of(thing)}"
        return
    member = member_of(getattr(adj, entry.owner), entry.name)
    if isinstance(member, classmethod):
        assert entry.signature == signature_of(member.__func__, bound=True)
    elif inspect.isfunction(member):
        assert entry.signature == signature_of(member, bound=True)
    else:
        assert entry.signature is None


@pytest.mark.parametrize("owner", COMPLETE, ids=lambda owner: owner.__name__)
def test_every_method_is_on_its_page(owner: type) -> None:
    shown = {entry.name for entry in ENTRIES if entry.owner == owner.__name__}
    assert sorted(public_methods(owner) - shown) == []


def test_every_section_has_an_example() -> None:
    for page in PAGES:
        parts = re.split(r"^#{2,3} ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        bare = [part.splitlines()[0] for part in parts if part.startswith("`") and "```python" not in part]
        assert bare == [], f"{page.name}: sections without an example"


# -- the tree of the README --------------------------------------------------------------------------------


def tree(readme: str) -> set[str]:
    """The paths in the README's tree: entries indented by two spaces stand inside the folder above them."""
    (block,) = re.findall(r"^## The repository\n+```text\n(.*?)^```", readme, flags=re.DOTALL | re.MULTILINE)
    paths: set[str] = set()
    folders: list[str] = []
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        folders[depth:] = []
        for name in line.split("  ")[depth].split(", "):
            paths.add("".join(folders) + name)
        if name.endswith("/"):
            folders.append(name)
    return paths


def test_the_tree_of_the_readme_is_the_repository() -> None:
    shown = tree((ROOT / "README.md").read_text(encoding="utf-8"))
    gone = [path for path in shown if not (ROOT / path).exists()]
    assert sorted(gone) == []
    present = {
        f"{folder}{path.name}" + ("/" if path.is_dir() else "")
        for folder in ("adjoint/", "docs/")
        for path in (ROOT / folder).iterdir()
        if not path.name.startswith(("__pycache__", ".")) and (path.is_file() or any(path.glob("**/*.*")))
    }
    assert sorted(present - shown) == [], "add a line to the tree of README.md"


def test_links_lead_somewhere() -> None:
    dead = []
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            if "://" not in target and not (page.parent / target).exists():
                dead.append(f"{page.relative_to(ROOT)}: {target}")
    assert sorted(dead) == []


# -- the checkers catch what they are for ------------------------------------------------------------------


def test_entries_are_read() -> None:
    text = """\
# Page

## `Program(name='x')`

- `solve(values=None, *,
  start=None)`: words
- `a`, `b`: words

```python
# ## `Hidden`
```

## Words

### `erf(x)`
"""
    shown = [(e.owner, e.name, e.signature) for e in entries(text, "page")]
    assert shown == [
        ("", "Program", "(name='x')"),
        ("Program", "solve", "(values=None, *, start=None)"),
        ("Program", "a", None),
        ("Program", "b", None),
        ("", "erf", "(x)"),
    ]


def test_members_that_are_not_there_are_refused() -> None:
    with pytest.raises(AssertionError, match="Program has no colour"):
        member_of(adj.Program, "colour")
    assert member_of(adj.Program, "variables") is None
    assert member_of(adj.BlockReport, "residual") is not None


def test_the_tree_is_read() -> None:
    lines = [
        "## The repository",
        "",
        "```text",
        "adjoint/      words",
        "  expr.py     words, more",
        "  linear/     words",
    ]
    readme = "\n".join([*lines, "LICENSE       words", "```", ""])
    assert tree(readme) == {"adjoint/", "adjoint/expr.py", "adjoint/linear/", "LICENSE"}
