"""The viewer's page in a real browser: it draws the scan and its labels, its controls work, a bad file is reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.browser import chromium, pixels
from tests.engine.apps.viewer.pages import COLOURS, count, drawn, marks_in_bodies, opened, row, served, set_opacity, shaded, tinted
from tests.engine.fake_bundle import fake_spec

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid, Reorientation
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import FLARE_LABELS, LabelSpec, ModelSpec
from flare_trt.engine.phantom.synthetic_body import make_phantom
from flare_trt.engine.results.viewer.niivue import require_niivue
from flare_trt.engine.results.viewer.page import Resource, page_resources
from flare_trt.engine.results.viewer.scene import Scene, read_scene
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import write_ct, write_labels

#: selenium's Keys.ARROW_RIGHT, which need not be installed.
ARROW_RIGHT = "\ue014"
#: Stored along other axes and ways than it is shown, off the origin.
STORED = "LSA"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    try:
        require_niivue()
    except InputError as error:
        pytest.skip(str(error))
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("scan")
    volumes = make_phantom(7, (50, 72, 76), (8.0, 5.0, 5.0))
    turn = Reorientation.to(volumes[0].grid, STORED)
    ct, labels = (Volume(np.ascontiguousarray(turn.apply(v.array)), moved(turn.grid(v.grid))) for v in volumes)
    write_ct(folder / "ct <b>.nii.gz", ct)
    write_labels(folder / "labels.nii", labels)
    return folder / "ct <b>.nii.gz", folder / "labels.nii"


def moved(grid: Grid) -> Grid:
    return Grid(grid.shape_zyx, grid.spacing_mm, (-140.0, 33.0, 512.0), grid.direction)


def model() -> ModelSpec:
    """Without a channel for tumours, and with an organ that is in no phantom."""
    spec, other = fake_spec(), LabelSpec(99, "third kidney", "#123456")
    return replace(spec, labels=(*FLARE_LABELS, other), fine=replace(spec.fine, channel_values=(*range(14), 99)))


def test_it_draws_and_its_controls_work(browser: Any, files: tuple[Path, Path]) -> None:
    scene, told = read_scene(*files, model()), list[str]()
    with served(page_resources(scene, *files), told) as url:
        assert opened(browser, url) == "ready"
        assert browser.title == "ct <b>.nii.gz · labels.nii"
        check_colours(browser)
        check_toggles(browser)
        check_windows(browser)
        check_jumps(browser, scene)
        check_outlines(browser)
        check_surfaces(browser)
        errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []
    assert told == []


def check_colours(browser: Any) -> None:
    """Grey CT and blended organs at the start; pure colours at full opacity; grey alone at none."""
    image = drawn(browser)
    spread = image.max(axis=2) - image.min(axis=2)
    grey = (spread <= 3) & (image.mean(axis=2) > 60) & (image.mean(axis=2) < 220)
    assert grey.sum() > 5000
    assert (spread > 30).sum() > 2000
    assert count(image, COLOURS["liver"]) < 20
    set_opacity(browser, 1)
    image = drawn(browser)
    for name in ("liver", "spleen", "stomach"):
        assert count(image, COLOURS[name]) > 150, name
    set_opacity(browser, 0)
    image = drawn(browser)
    assert all(count(image, COLOURS[name]) < 20 for name in ("liver", "spleen", "stomach"))
    set_opacity(browser, 1)


def check_toggles(browser: Any) -> None:
    """An organ's box takes away its colour and no other's, and brings it back; the box on top does so for all."""
    before = drawn(browser)
    row(browser, "liver").find_element("css selector", "input").click()
    without = drawn(browser)
    assert count(without, COLOURS["liver"]) == 0
    for name in ("spleen", "stomach"):  # edges between neighbours are smoothed
        assert count(without, COLOURS[name]) == pytest.approx(count(before, COLOURS[name]), rel=0.03)
    row(browser, "liver").find_element("css selector", "input").click()
    np.testing.assert_array_equal(drawn(browser), before)
    browser.find_element("id", "all").click()
    nothing = drawn(browser)
    assert all(count(nothing, COLOURS[name]) == 0 for name in ("liver", "spleen", "stomach"))
    browser.find_element("id", "all").click()
    np.testing.assert_array_equal(drawn(browser), before)


def check_windows(browser: Any) -> None:
    """Lungs are black in the abdominal window and grey in the lung's; each preset shows something else."""
    shown = []
    set_opacity(browser, 0)
    for name in ("abdomen", "liver", "lung", "bone"):
        browser.find_element("css selector", f"input[value={name}]").click()
        shown.append(drawn(browser))
    assert all((a != b).any(axis=2).mean() > 0.02 for a, b in pairwise(shown))
    abdomen, _, lung, _ = shown
    assert ((abdomen.max(axis=2) < 5) & (lung.min(axis=2) > 40)).sum() > 500
    browser.find_element("css selector", "input[value=abdomen]").click()
    set_opacity(browser, 1)


def check_jumps(browser: Any, scene: Scene) -> None:
    """A click on a name brings the crosshair into that organ; one that is not there cannot be chosen; volumes are shown."""
    for organ in scene.organs:
        line = row(browser, organ.name)
        button = line.find_element("css selector", "button")
        if organ.place_ras_mm is None:
            assert not button.is_enabled()
            assert ("not found" if organ.looked_for else "not looked for") in line.text
            continue
        assert f"{organ.volume_ml:.1f} {organ.mean_hu:.0f}" in line.text
        button.click()
        place = browser.find_element("id", "place").text
        assert place.endswith(f" · {organ.name}")
        told_mm = [float(part) for part in place.removeprefix("RAS ").split(" mm")[0].split(", ")]
        assert told_mm == pytest.approx(organ.place_ras_mm, abs=4.1)  # half a voxel


def check_outlines(browser: Any) -> None:
    """Outlines leave the inside of an organ as the CT is; a hidden organ has none, and the organs around keep theirs."""
    set_opacity(browser, 1)
    filled = drawn(browser)
    box = browser.find_element("id", "outlines")
    box.click()
    outlined = drawn(browser)
    for name in ("liver", "spleen", "stomach"):
        assert 50 < count(outlined, COLOURS[name]) < count(filled, COLOURS[name]), name
    inside = (np.abs(filled - COLOURS["liver"]).max(axis=2) <= 6) & (np.ptp(outlined, axis=2) <= 3)
    assert inside.sum() > 0.6 * count(filled, COLOURS["liver"])
    row(browser, "liver").find_element("css selector", "input").click()
    without = drawn(browser)
    assert count(without, COLOURS["liver"]) == 0
    for name in ("spleen", "stomach"):
        assert count(without, COLOURS[name]) == pytest.approx(count(outlined, COLOURS[name]), rel=0.25)
    row(browser, "liver").find_element("css selector", "input").click()
    box.click()
    np.testing.assert_array_equal(drawn(browser), filled)


def check_surfaces(browser: Any) -> None:
    """The liver is on the left, as the patient is seen from the front; keys turn and zoom, boxes hide, 0 brings the front back."""
    canvas = browser.find_element("id", "surface")
    assert "liver" in canvas.get_attribute("aria-label")
    front = shaded(canvas)
    liver, spleen = (np.argwhere(tinted(front, COLOURS[name])).mean(axis=0) for name in ("liver", "spleen"))
    assert liver[1] < spleen[1] - 10
    kidney, stomach = (tinted(front, COLOURS[name]).sum() for name in ("right kidney", "stomach"))
    canvas.send_keys("+" * 3)
    assert tinted(shaded(canvas), COLOURS["stomach"]).sum() > 1.4 * stomach
    canvas.send_keys("0")
    canvas.send_keys(ARROW_RIGHT * 12)  # from behind
    behind = shaded(canvas)
    assert tinted(behind, COLOURS["right kidney"]).sum() > 1.5 * kidney
    liver, spleen = (np.argwhere(tinted(behind, COLOURS[name])).mean(axis=0) for name in ("liver", "spleen"))
    assert liver[1] > spleen[1] + 10
    canvas.send_keys("0")
    np.testing.assert_array_equal(shaded(canvas), front)
    row(browser, "liver").find_element("css selector", "input").click()
    assert tinted(shaded(canvas), COLOURS["liver"]).sum() < 20
    row(browser, "liver").find_element("css selector", "input").click()
    np.testing.assert_array_equal(shaded(canvas), front)


@pytest.mark.nightly
def test_a_file_that_changed_is_told_in_the_page_and_to_the_command(browser: Any, files: tuple[Path, Path], tmp_path: Path) -> None:
    ct, told = tmp_path / "case.nii.gz", list[str]()
    ct.write_bytes(files[0].read_bytes())
    with served(page_resources(read_scene(ct, files[1]), ct, files[1]), told) as url:
        ct.write_bytes(b"junk")
        assert opened(browser, url) == "failed"
        assert browser.find_element("id", "problem").text == told[0]
    assert "case.nii.gz has changed since it was opened" in told[0]


@pytest.mark.nightly
def test_a_file_that_niivue_cannot_read_is_told_in_the_page(browser: Any, files: tuple[Path, Path]) -> None:
    resources = page_resources(read_scene(*files, model()), *files)
    resources["labels"] = Resource("application/octet-stream", b"\x1f\x8b junk" * 99)
    with served(resources, []) as url:
        assert opened(browser, url) == "failed"
        assert "labels.nii cannot be shown" in browser.find_element("id", "problem").text


def test_values_with_gaps_colour_their_own_voxels_alone(browser: Any, files: tuple[Path, Path], tmp_path: Path) -> None:
    labels = read_labels(files[1])
    renumbered = np.where(labels.array == 3, 200, labels.array).astype(np.uint8)
    write_labels(tmp_path / "gaps.nii", Volume(renumbered, labels.grid))
    shown = []
    for path in (files[1], tmp_path / "gaps.nii"):
        with served(page_resources(read_scene(files[0], path), files[0], path), []) as url:
            assert opened(browser, url) == "ready"
            set_opacity(browser, 1)
            shown.append(drawn(browser))
            row(browser, "spleen" if path == files[1] else "label 200")
    same = (shown[0] == shown[1]).all(axis=2)
    assert count(shown[0], COLOURS["spleen"]) > 150
    assert (~same).sum() < 2 * count(shown[0], COLOURS["spleen"])
    for name in ("liver", "stomach"):
        assert count(shown[1], COLOURS[name]) == pytest.approx(count(shown[0], COLOURS[name]), rel=0.03)


def test_right_and_front_are_on_the_left(browser: Any, tmp_path: Path) -> None:
    """A mark at the front right top of a body is at the upper left of each plane."""
    grid = Grid((64, 64, 64), (4.0, 4.0, 4.0))
    hu, marks = np.full(grid.shape_zyx, -1000, np.int16), np.zeros(grid.shape_zyx, np.uint8)
    hu[8:56, 8:56, 8:56] = 40
    marks[40:48, 14:22, 14:22] = 1  # (z, y, x) run towards superior, posterior and left
    write_ct(tmp_path / "ct.nii", Volume(hu, grid))
    write_labels(tmp_path / "labels.nii", Volume(marks, grid))
    files = tmp_path / "ct.nii", tmp_path / "labels.nii"
    with served(page_resources(read_scene(*files), *files), []) as url:
        assert opened(browser, url) == "ready"
        set_opacity(browser, 1)
        image = drawn(browser)
    places = marks_in_bodies(image, COLOURS["liver"])
    assert len(places) == 3
    np.testing.assert_allclose(places, 0.3, atol=0.1)


def test_a_narrow_screen_is_not_scrolled_sideways(browser: Any, files: tuple[Path, Path]) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        with served(page_resources(read_scene(*files, model()), *files), []) as url:
            assert opened(browser, url) == "ready"
            wide, shown = browser.execute_script("return [document.scrollingElement.scrollWidth, window.innerWidth]")
            boxes = "return ['stage', 'surface'].map((id) => document.getElementById(id).getBoundingClientRect().toJSON())"
            stage, surface = browser.execute_script(boxes)
            touched = pixels(browser.find_element("id", "surface"))
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert (wide, shown) == (390, 390)
    assert stage["left"] + 100 < surface["left"] < surface["right"] <= stage["right"]  # right of the axial plane
    assert stage["top"] + 100 < surface["top"] < surface["bottom"] <= stage["bottom"]
    assert tinted(touched, COLOURS["liver"]).sum() > 100
