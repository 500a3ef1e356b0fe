from __future__ import annotations

from pathlib import Path

import numpy as np

from flare_trt.training.tumours.plant import plant_lesions
from flare_trt.training.tumours.pool import StoredExample, write_example
from flare_trt.training.tumours.scene import Scene
from flare_trt.training.tumours.sheet import OUTLINE_RGB, write_sheet
from tests.training.tumours.tumour_fixtures import liver_scene


def stored(scene: Scene) -> StoredExample:
    tumour = np.rint(scene.tumour * 255).astype(np.uint8)
    organs = np.zeros((14, *(size // 2 for size in scene.shape)), np.uint8)
    hu = np.rint(scene.hu).astype(np.int16)
    return StoredExample(hu, tumour, np.ones(scene.shape, bool), scene.labels, scene.lesions, organs)


def test_a_sheet_shows_each_lesion_without_and_with_its_outline(tmp_path: Path) -> None:
    from PIL import Image

    plain = liver_scene()
    write_example(stored(plain), tmp_path / "0.npz")
    for number in (1, 2, 3):
        scene = liver_scene()
        assert plant_lesions(scene, np.random.default_rng(number + 20))
        write_example(stored(scene), tmp_path / f"{number}.npz")
    files = sorted(tmp_path.glob("*.npz"))
    assert write_sheet(files, 2, 1, tmp_path / "sheet.png") == 2
    picture = np.asarray(Image.open(tmp_path / "sheet.png"))
    _, height, width = plain.shape
    assert picture.shape == (2 * height, 2 * width, 3)
    outlined = np.all(picture == OUTLINE_RGB, axis=-1)
    assert outlined[:, width:].sum() > 20
    assert not outlined[:, :width].any()
    assert write_sheet(files[:1], 2, 1, tmp_path / "none.png") == 0
    assert not (tmp_path / "none.png").exists()
