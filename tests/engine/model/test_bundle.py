from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import BundleError, OutputError
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.bundle_writer import write_bundle
from flare_trt.engine.model.spec import SCHEMA, LabelSpec, ModelSpec, NetworkFile, Provenance, StageSpec
from flare_trt.kernels import Intensity

onnx = pytest.importorskip("onnx")


def network(path: Path, weight: float = 1.5, external: bool = False) -> Path:
    """A genuine ONNX file: y = x * weight, with 3x5x7 weights so that they may lie in another file."""
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.full((1, 1, 3, 5, 7), weight, np.float32), "w")
    shape = [1, 1, 3, 5, 7]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, str(path), save_as_external_data=external, size_threshold=0, location=path.stem + ".data")
    return path


def stage(*files: str) -> StageSpec:
    return StageSpec(
        networks=tuple(NetworkFile(file) for file in files),
        spacing_mm=(2.5, 1.5, 1.25),
        patch_zyx=(3, 5, 7),
        intensity=Intensity(-973.0, 295.0, 80.0, 141.0),
        channel_values=(0, 1, 2),
    )


def spec(*fine: str, coarse: tuple[str, ...] = ()) -> ModelSpec:
    return ModelSpec(
        schema=1,
        name="tiny",
        labels=(LabelSpec(1, "liver", "#aa0000"), LabelSpec(2, "spleen", "#00bb00")),
        fine=stage(*fine),
        coarse=stage(*coarse) if coarse else None,
        provenance=Provenance("made by a test", "CC0-1.0"),
    )


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    source = tmp_path / "source"
    source.mkdir()
    return {
        name: network(source / name, weight) for name, weight in [("fine_0.onnx", 1.5), ("fine_1.onnx", 2.5), ("coarse.onnx", 3.5)]
    }


@pytest.fixture(params=["model", "model.zip"])
def written(request: pytest.FixtureRequest, tmp_path: Path, files: dict[str, Path]) -> Path:
    destination = tmp_path / request.param
    write_bundle(spec("fine_0.onnx", "fine_1.onnx", coarse=("coarse.onnx",)), files, destination)
    return destination


def edit(bundle: Path, change: Callable[[dict[str, object]], object]) -> None:
    file = bundle / "bundle.json"
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


@pytest.fixture
def folder(tmp_path: Path, files: dict[str, Path]) -> Path:
    write_bundle(spec("fine_0.onnx"), {"fine_0.onnx": files["fine_0.onnx"]}, tmp_path / "model")
    return tmp_path / "model"


def test_round_trip(written: Path, files: dict[str, Path]) -> None:
    with open_bundle(written) as bundle:
        assert bundle.source == written
        assert bundle.spec.coarse is not None
        fine = bundle.network_files(bundle.spec.fine)
        assert [path.read_bytes() for path in fine] == [files["fine_0.onnx"].read_bytes(), files["fine_1.onnx"].read_bytes()]
        assert bundle.network_files(bundle.spec.coarse)[0].read_bytes() == files["coarse.onnx"].read_bytes()
        expected = spec("fine_0.onnx", "fine_1.onnx", coarse=("coarse.onnx",))
        unhashed = replace(bundle.spec.fine, networks=expected.fine.networks)
        assert unhashed == expected.fine
        assert bundle.spec.labels == expected.labels


def test_zip_leaves_nothing_behind(tmp_path: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    write_bundle(spec("fine_0.onnx"), {"fine_0.onnx": files["fine_0.onnx"]}, tmp_path / "model.zip")
    with open_bundle(tmp_path / "model.zip") as bundle:
        assert bundle.folder.parent == scratch
    assert list(scratch.iterdir()) == []
    bundle.close()


def test_zip_of_the_folder_itself_opens(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "by_hand.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, f"model/{file.name}")
        archive.writestr("model/README.txt", "not a part of the bundle")
    with open_bundle(tmp_path / "by_hand.zip") as bundle:
        assert sorted(path.name for path in bundle.folder.iterdir()) == ["fine_0.onnx"]


def test_same_bundle_same_zip_bytes(tmp_path: Path, files: dict[str, Path]) -> None:
    for name in ("a.zip", "b.zip"):
        write_bundle(spec("fine_0.onnx"), {"fine_0.onnx": files["fine_0.onnx"]}, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_changed_network_is_refused(folder: Path, tmp_path: Path) -> None:
    network(folder / "fine_0.onnx", 1.500001)
    with pytest.raises(BundleError, match=r"bundle.json: fine.networks\[0\].sha256: got \w{64}, expected \w{64}; .*again"):
        open_bundle(folder)


def test_missing_network_is_refused(folder: Path) -> None:
    (folder / "fine_0.onnx").unlink()
    with pytest.raises(BundleError, match=r"fine.networks\[0\].file: the file fine_0.onnx is missing"):
        open_bundle(folder)


def test_missing_spec_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"bundle\.json is missing"):
        open_bundle(tmp_path)
    with pytest.raises(BundleError, match="does not exist"):
        open_bundle(tmp_path / "nowhere")
    (tmp_path / "file").write_text("no zip")
    with pytest.raises(BundleError, match="is no zip"):
        open_bundle(tmp_path / "file")


@pytest.mark.parametrize(
    "name", ["../fine_0.onnx", "/etc/passwd.onnx", "sub/fine_0.onnx", "a\\b.onnx", "C:x.onnx", ".onnx", "x.py", ""]
)
def test_paths_are_refused(folder: Path, name: str) -> None:
    edit(folder, lambda data: data["fine"]["networks"][0].update(file=name))  # type: ignore[index]
    with pytest.raises(BundleError, match=r"fine.networks\[0\].file: got .*expected a plain file name"):
        open_bundle(folder)


@pytest.mark.parametrize("name", ["fine_0.onnx", "bundle.json"])
def test_symbolic_links_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=f"{name} is a symbolic link"):
        open_bundle(folder)


def test_newer_schema_and_unknown_key_are_refused(folder: Path) -> None:
    edit(folder, lambda data: data.update(schema=SCHEMA + 1))
    with pytest.raises(BundleError, match=f"schema: got {SCHEMA + 1}, expected a version up to {SCHEMA}; update flare-trt"):
        open_bundle(folder)
    edit(folder, lambda data: data.update(schema=1, licence="x"))
    with pytest.raises(BundleError, match="unknown key 'licence'"):
        open_bundle(folder)


def test_no_checksum_is_refused(folder: Path) -> None:
    edit(folder, lambda data: data["fine"]["networks"][0].pop("sha256"))  # type: ignore[index]
    with pytest.raises(BundleError, match=r"fine.networks\[0\].sha256: got"):
        open_bundle(folder)


def test_spec_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "bundle.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleError, match="not UTF-8"):
        open_bundle(folder)
    (folder / "bundle.json").write_bytes(b" " * (1 << 20) + b"{}")
    with pytest.raises(BundleError, match="expected at most 1048576"):
        open_bundle(folder)


def repack(source: Path, target: Path, change: Callable[[zipfile.ZipFile, dict[str, bytes]], None]) -> None:
    """Zip a bundle's folder after `change` put further or other entries in."""
    content = {file.name: file.read_bytes() for file in source.iterdir()}
    with zipfile.ZipFile(target, "w") as archive:
        change(archive, content)
        for name, data in content.items():
            archive.writestr(name, data)


def test_zip_slip_writes_nothing_outside(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "deep" / "scratch"
    scratch.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))

    def slip(archive: zipfile.ZipFile, content: dict[str, bytes]) -> None:
        archive.writestr("../../evil.onnx", content["fine_0.onnx"])
        spec_data = json.loads(content["bundle.json"])
        spec_data["fine"]["networks"][0]["file"] = "../../evil.onnx"
        content["bundle.json"] = json.dumps(spec_data).encode()

    repack(folder, tmp_path / "slip.zip", slip)
    with pytest.raises(BundleError, match="expected a plain file name"):
        open_bundle(tmp_path / "slip.zip")
    assert not list(tmp_path.rglob("evil.onnx"))
    assert list(scratch.iterdir()) == []


def test_zip_with_doubled_or_linked_entry_is_refused(folder: Path, tmp_path: Path) -> None:
    def double(archive: zipfile.ZipFile, content: dict[str, bytes]) -> None:
        archive.writestr("fine_0.onnx", b"another")

    def link(archive: zipfile.ZipFile, content: dict[str, bytes]) -> None:
        info = zipfile.ZipInfo("fine_0.onnx")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
        del content["fine_0.onnx"]

    with pytest.warns(UserWarning, match="Duplicate"):
        repack(folder, tmp_path / "double.zip", double)
    with pytest.raises(BundleError, match=r"2 entries 'fine_0.onnx', expected one"):
        open_bundle(tmp_path / "double.zip")
    repack(folder, tmp_path / "link.zip", link)
    with pytest.raises(BundleError, match=r"'fine_0.onnx' is a symbolic link"):
        open_bundle(tmp_path / "link.zip")


def test_broken_zip_is_refused(folder: Path, tmp_path: Path) -> None:
    repack(folder, tmp_path / "broken.zip", lambda archive, content: None)
    data = bytearray((tmp_path / "broken.zip").read_bytes())
    data[data.index(b"fine_0.onnx") + 40] ^= 0xFF
    (tmp_path / "broken.zip").write_bytes(data)
    with pytest.raises(BundleError, match="cannot be unpacked: Bad CRC-32"):
        open_bundle(tmp_path / "broken.zip")


def test_external_weights_are_refused(tmp_path: Path) -> None:
    source = network(tmp_path / "fine_0.onnx", external=True)
    with pytest.raises(BundleError, match=r"fine.networks\[0\]: fine_0.onnx keeps weights in other files"):
        write_bundle(spec("fine_0.onnx"), {"fine_0.onnx": source}, tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fine_0.data", "fine_0.onnx"]


@pytest.mark.parametrize("content", [b"", b"not an ONNX file at all", b"\x3a\xff\xff\xff\xff\x0f", b"\x08\x07"])
def test_what_is_no_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "fine_0.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"fine_0.onnx is (empty|not an ONNX file)"):
        write_bundle(spec("fine_0.onnx"), {"fine_0.onnx": tmp_path / "fine_0.onnx"}, tmp_path / "model")


def test_files_must_be_those_of_the_spec(tmp_path: Path, files: dict[str, Path]) -> None:
    with pytest.raises(BundleError, match=r"got network files .*, expected \['fine_0.onnx'\]"):
        write_bundle(spec("fine_0.onnx"), files, tmp_path / "model")


def test_a_bundle_is_replaced_as_a_whole(written: Path, files: dict[str, Path]) -> None:
    write_bundle(spec("fine_1.onnx"), {"fine_1.onnx": files["fine_1.onnx"]}, written)
    with open_bundle(written) as bundle:
        assert bundle.spec.coarse is None
        assert [network.file for network in bundle.spec.fine.networks] == ["fine_1.onnx"]
    assert sorted(path.name for path in written.parent.iterdir()) == sorted([written.name, "source"])
    if written.is_dir():
        assert sorted(path.name for path in written.iterdir()) == ["bundle.json", "fine_1.onnx"]
        assert written.stat().st_mode & 0o055 == 0o055 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_is_no_bundle_is_not_replaced(folder: Path, tmp_path: Path, files: dict[str, Path]) -> None:
    one = {"fine_0.onnx": files["fine_0.onnx"]}
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"also holds notes\.txt"):
        write_bundle(spec("fine_0.onnx"), one, folder)
    assert (folder / "notes.txt").read_text() == "mine"
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="is not a folder"):
        write_bundle(spec("fine_0.onnx"), one, tmp_path / "file")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("mine")
    (tmp_path / "archive.zip").write_text("mine")
    for name in ("photos", "archive.zip"):
        with pytest.raises(OutputError, match="is no sound bundle"):
            write_bundle(spec("fine_0.onnx"), one, tmp_path / name)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(OutputError, match="symbolic link"):
        write_bundle(spec("fine_0.onnx"), one, tmp_path / "link")
