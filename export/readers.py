"""Which array orientation a network was trained on, from the image reader that plans.json names.

nnUNetPredictor reads scans with plans.json's `image_reader_writer`; dataset.json's `overwrite_image_reader_writer` only chose it
when the plans were made. Source: nnunetv2/imageio/.
"""

from __future__ import annotations

from typing import cast

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.model.spec import ImageReader
from flare_trt.export.json_file import JsonObject

#: Reader -> orientation of its (z, y, x) arrays. Both "Reorient" readers turn the image to RAS, that is x to the Right, y to
#: Anterior and z to Superior, and hand out (z, y, x). NibabelIO transposes to the very array that SimpleITK gives.
_ORIENTATIONS = {
    "SimpleITKIO": "as-stored",
    "NibabelIO": "as-stored",
    "NibabelIOWithReorient": "SAR",
    "SimpleITKIOWithReorient": "SAR",
}


def reader_of(plans: JsonObject, orientation: str | None) -> tuple[ImageReader, str]:
    """Image reader and orientation for StageSpec; a given `orientation` takes the place of the reader's.

    Raises ExportError for a reader of other files than CT volumes where no orientation is given.
    """
    reader = plans.get("image_reader_writer", str)
    if reader not in _ORIENTATIONS and orientation is not None:
        return "", orientation
    if reader not in _ORIENTATIONS:
        raise ExportError(
            f"plans.json: image_reader_writer: got {reader!r}, expected one of {', '.join(_ORIENTATIONS)}; "
            "where its arrays' orientation is known, give it with --orientation"
        )
    return cast(ImageReader, reader), orientation or _ORIENTATIONS[reader]
