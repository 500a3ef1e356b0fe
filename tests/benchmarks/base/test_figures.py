from __future__ import annotations

from pathlib import Path

import pytest

from flare_trt.benchmarks.base.figures import new_figure, save_figure
from flare_trt.engine.base.errors import FlareError, InputError

pytest.importorskip("matplotlib")


def test_the_same_plot_is_the_same_svg(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        figure = new_figure((3.0, 2.0))
        figure.subplots().plot([1, 2, 4], label="line")
        save_figure(figure, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_another_ending_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected \.png or \.svg"):
        save_figure(new_figure((3.0, 2.0)), tmp_path / "plot.pdf")
    assert list(tmp_path.iterdir()) == []


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flare_trt.benchmarks.base.extra.find_spec", lambda name: None)
    with pytest.raises(FlareError, match=r"matplotlib.*flare-trt\[bench\]"):
        new_figure((1.0, 1.0))
