from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

import adjoint as adj
from adjoint.report import picture
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
@pytest.mark.parametrize("draw", [picture.draw_graph, picture.draw_matrix])
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
    picture.draw_graph(sellar(), file)
    assert file.read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["picture.doc", "picture"])
def test_other_formats_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(adj.ModelError, match=r"must end with one of .*\.png"):
        picture.draw_matrix(sellar(), tmp_path / name)


@pytest.mark.parametrize("draw", [picture.draw_graph, picture.draw_matrix])
def test_names_are_no_formulas(draw: object, tmp_path: Path) -> None:
    m = adj.Program("a $name$ _{x}^ $")
    m.define("$y", 2 * m.input("x_$\\frac$", 1.0))
    draw(m, tmp_path / "a.png")  # type: ignore[operator]


def texts_and_axes(
    monkeypatch: pytest.MonkeyPatch, draw: object, m: adj.Program, tmp_path: Path
) -> list[object]:
    """The extents of all texts of a picture, on the pixels of its figure."""
    kept: list[object] = []

    def save(figure: object, path: object) -> None:
        renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        paper = figure.bbox  # type: ignore[attr-defined]
        for axes in figure.axes:  # type: ignore[attr-defined]
            for text in axes.texts:
                kept.append((text.get_text(), text.get_window_extent(renderer), paper))

    monkeypatch.setattr(picture, "_save", save)
    draw(m, tmp_path / "a.png")  # type: ignore[operator]
    return kept


@pytest.mark.parametrize("make", MODELS.values(), ids=list(MODELS))
@pytest.mark.parametrize("draw", [picture.draw_graph, picture.draw_matrix])
def test_texts_do_not_overlap_and_stay_on_the_paper(
    draw: object, make: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    def figure(width: float, height: float) -> Figure:
        made = Figure(figsize=(width, height), dpi=100)
        FigureCanvasAgg(made)
        return made

    monkeypatch.setattr(picture, "_figure", figure)
    kept = texts_and_axes(monkeypatch, draw, make(), tmp_path)  # type: ignore[operator]
    assert kept
    for i, (text, box, paper) in enumerate(kept):  # type: ignore[misc]
        assert paper.x0 <= box.x0 and box.x1 <= paper.x1, text
        assert paper.y0 <= box.y0 and box.y1 <= paper.y1, text
        for other, second, _ in kept[:i]:  # type: ignore[misc]
            apart = box.x1 <= second.x0 or second.x1 <= box.x0 or box.y1 <= second.y0 or second.y1 <= box.y0
            assert apart, (text, other)


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    assert not picture.is_available()
    with pytest.raises(adj.ModelError, match=r"pip install 'adjoint\[plot\]'"):
        picture.draw_graph(sellar(), tmp_path / "a.png")
