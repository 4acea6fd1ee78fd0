from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

import adjoint as adj
from adjoint.report import graph_picture, matrix_picture, picture
from adjoint.report.graph_picture import draw_graph
from adjoint.report.matrix_picture import draw_matrix
from tests.report.models import arrays, chain, empty, sellar, tangle

MODELS = {
    "sellar": sellar,
    "arrays": arrays,
    "chain": chain,
    "tangle": tangle,
    "large": lambda: tangle(150, 20),
    "empty": empty,
}


@pytest.fixture(autouse=True)
def _installed() -> None:
    pytest.importorskip("matplotlib")


@pytest.mark.parametrize("make", MODELS.values(), ids=list(MODELS))
@pytest.mark.parametrize("draw", [draw_graph, draw_matrix])
def test_every_program_is_drawn(draw: object, make: object, tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(make(), file)  # type: ignore[operator]
    data = file.read_bytes()
    assert data.startswith(b"\x89PNG") and len(data) > 2000


@pytest.mark.parametrize(("ending", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")])
def test_formats(ending: str, start: bytes, tmp_path: Path) -> None:
    file = tmp_path / f"picture.{ending}"
    draw_graph(sellar(), file)
    assert file.read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["picture.doc", "picture"])
def test_other_formats_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(adj.ModelError, match=r"must end with one of .*\.png"):
        draw_matrix(sellar(), tmp_path / name)


@pytest.mark.parametrize("draw", [draw_graph, draw_matrix])
def test_names_are_no_formulas(draw: object, tmp_path: Path) -> None:
    m = adj.Program("a $name$ _{x}^ $")
    m.define("$y", 2 * m.input("x_$\\frac$", 1.0))
    draw(m, tmp_path / "a.png")  # type: ignore[operator]


def texts(
    monkeypatch: pytest.MonkeyPatch, draw: object, m: adj.Program
) -> tuple[list[tuple[str, object]], object]:
    """All texts of a picture with their extents, and the paper, in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    kept: list[picture.Paper] = []
    for module in (graph_picture, matrix_picture):
        monkeypatch.setattr(module, "save", lambda sheet, path: kept.append(sheet))
    draw(m, "")  # type: ignore[operator]
    (sheet,) = kept
    renderer = FigureCanvasAgg(sheet.figure).get_renderer()
    return [(t.get_text(), t.get_window_extent(renderer)) for t in sheet.axes.texts], sheet.figure.bbox


@pytest.mark.parametrize("make", MODELS.values(), ids=list(MODELS))
@pytest.mark.parametrize("draw", [draw_graph, draw_matrix])
def test_texts_do_not_overlap_and_stay_on_the_paper(
    draw: object, make: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, sheet = texts(monkeypatch, draw, make())  # type: ignore[operator]
    assert found
    for i, (words, box) in enumerate(found):
        assert sheet.x0 <= box.x0 and box.x1 <= sheet.x1, words  # type: ignore[attr-defined]
        assert sheet.y0 <= box.y0 and box.y1 <= sheet.y1, words  # type: ignore[attr-defined]
        for other, second in found[:i]:
            assert not box.overlaps(second), (words, other)  # type: ignore[attr-defined]


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert not picture.is_available()
    with pytest.raises(adj.ModelError, match=r"pip install 'adjoint\[plot\]'"):
        draw_graph(sellar(), tmp_path / "a.png")
