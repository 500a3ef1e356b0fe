"""One CT series written in many valid ways, drawn at random: what each means is the same, so its labels in the patient have to be.

A way is a `Recipe`, kept as JSON. Some are refused, and `LISTED` says which and with what words: every other refusal is a fault.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

SHAPE = (13, 36, 34)
SPACING_ZYX = (2.0, 1.5, 1.5)

IMPLICIT, EXPLICIT, DEFLATED, BIG = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2"))
RLE, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_2000 = (
    f"1.2.840.10008.1.2.{end}" for end in ("5", "4.57", "4.70", "4.80", "4.90")
)
NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG)
CODED = (RLE, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_2000)

#: What else may be done to a series -> the words of the refusal that has to come.
LISTED = {
    "left-aligned": "expected the lowest bits to be the stored ones",
    "woven": "got 2 acquisitions (phases) in one series",
    "tilted": "gantry tilt of",
    "a slice missing": "1 missing between, expected all of them",
    "two patients": "images of 2 patients in one series",
    "gzipped": "a gzipped DICOM file, expected it unpacked",
    "part missing": "1 files of an enhanced CT in several files (a concatenation) are not there",
}
CONTAINERS = ("classic", "classic", "classic", "enhanced", "enhanced", "concatenation")
MACROS = ("PlaneOrientationSequence", "PixelMeasuresSequence", "PixelValueTransformationSequence", "CTImageFrameTypeSequence")
#: Character set -> a name that it can write.
CHARACTERS = {
    "": "Adams^John",
    "ISO_IR 100": "Buc^Jérôme",
    "ISO_IR 192": "Wang^XiaoDong=王^小东",
    "ISO_IR 144": "Люкceмбypг",
    "ISO_IR 101": "Wałęsa",
    "\\ISO 2022 IR 87": "Yamada^Tarou",
    "\\ISO 2022 IR 149": "Hong^Gildong",
    "ISO_IR 6": "Plain^Name",
}
UIDS = ("2.25.{}", "1.2.840.99999.1.{}", "1.3.6.1.4.1.14519.5.2.1.3671.4754.{}", "{}", "blank")
BESIDE = ("readme", "report", "localizer", "capture", "copy", "hidden")


@dataclass(frozen=True)
class Recipe:
    """How a series is written. `axes` and `flips` turn the volume (z, y, x) before it is cut into planes along its first axis.

    `syntaxes` are each file's, in turn; `bits`, `junk` (of 16 bits) and `slopes` as PS3.5 has them; `order` shuffles files
    and frames by its seed; `twist` is a key of LISTED.
    """

    container: str = "classic"
    axes: tuple[int, int, int] = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)
    origin_mm: tuple[float, float, float] = (-20.0, -30.0, 100.0)
    decimals: int = 6
    syntaxes: tuple[str, ...] = (EXPLICIT,)
    bits: int = 12
    signed: bool = False
    junk: int = 0
    slopes: tuple[float, ...] = (1.0,)
    intercepts: tuple[int, ...] = (-1024,)
    sample_bits: int = 16
    order: int = 0
    nested: bool = False
    zipped: bool = False
    head: str = "whole"  # or without its preamble, or the bare data set
    characters: tuple[str, ...] = ("",)
    uids: str = "2.25.{}"
    per_frame: tuple[str, ...] = ()
    rescale_type: str = "HU"
    photometric: str = "MONOCHROME2"
    numbering: str = "along"
    beside: tuple[str, ...] = ()
    twist: str = ""


@cache
def base_hu() -> NDArray[np.int16]:
    """Whole HU (z, y, x), smooth, even numbers, so that a slope of 2 holds them too."""
    from tests.engine.scans.dicom.series_files import small_ct

    return (small_ct(SHAPE, seed=11) // 2 * 2).astype(np.int16)


def recipes() -> list[bytes]:
    """The plain ways: one a transfer syntax, one a container."""
    plain = [Recipe(syntaxes=(syntax,)) for syntax in (*NATIVE, *CODED)]
    return [as_bytes(one) for one in (*plain, Recipe(container="enhanced"), Recipe(container="concatenation"))]


def as_bytes(recipe: Recipe) -> bytes:
    return json.dumps(asdict(recipe), indent=1).encode()


def from_bytes(data: bytes) -> Recipe:
    """The recipe in a kept file."""
    values = json.loads(data)
    return Recipe(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def drawn(seed: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """A recipe at random; nothing of the seed is kept."""
    recipe = replace(
        _placed(_stored(Recipe(), rng), rng),
        characters=tuple(rng.choices(list(CHARACTERS), k=rng.choice((1, 1, 2, 3)))),
        uids=rng.choice(UIDS),
        rescale_type=rng.choice(("HU", "HU", "", "hu", "US", "Hounsfield", "HU_MOD")),
        photometric=rng.choice(("MONOCHROME2", "MONOCHROME2", "MONOCHROME1")),
        numbering=rng.choice(("along", "against", "none", "same", "rotations", "times")),
        beside=tuple(rng.sample(BESIDE, rng.choice((0, 0, 1, 2)))),
        zipped=rng.random() < 0.25,
        nested=rng.random() < 0.25,
        order=rng.getrandbits(30),
    )
    return as_bytes(_twisted(recipe, rng) if rng.random() < 0.2 else recipe)


def _stored(recipe: Recipe, rng: random.Random) -> Recipe:
    """How pixels are coded."""
    container = rng.choice(CONTAINERS)
    kinds = NATIVE if container != "classic" or rng.random() < 0.4 else CODED
    syntaxes = tuple(rng.choices(kinds, k=rng.choice((1, 1, 1, 2)))) if container == "classic" else (rng.choice(NATIVE[:2]),)
    bits, signed = rng.choice((12, 13, 16)), rng.random() < 0.5
    slopes, intercepts = (1.0,), ((0,) if signed else (-1024,))
    if bits == 16 and rng.random() < 0.5:
        slopes, intercepts = rng.choice((((0.5, 1.0), (-1024, -1000)), ((2.0,), (-1024,)), ((1.0, 2.0), (0, -8192))))
        signed = signed or min(intercepts) > -1024 or 0 in intercepts
    native = set(syntaxes) <= {*NATIVE}
    return replace(
        recipe,
        container=container,
        syntaxes=syntaxes,
        bits=bits,
        signed=signed,
        slopes=slopes,
        intercepts=intercepts,
        junk=rng.choice((0, 0, 0x8000, 0xF000, 0xE000)),
        sample_bits=rng.choice((bits, 16)),
        head=rng.choice(("whole", "whole", "whole", "no preamble", "bare")) if native and DEFLATED not in syntaxes else "whole",
        per_frame=tuple(rng.sample(MACROS, rng.randint(0, len(MACROS)))),
    )


def _placed(recipe: Recipe, rng: random.Random) -> Recipe:
    """Where planes are cut and lie."""
    axes = (0, 1, 2) if rng.random() < 0.5 or JPEG_2000 in recipe.syntaxes else tuple(rng.sample((0, 1, 2), 3))
    flips = tuple(rng.random() < 0.5 for _ in range(3))
    origin = tuple(round(rng.uniform(-400, 400), 3) for _ in range(3))
    return replace(recipe, axes=axes, flips=flips, origin_mm=origin, decimals=rng.choice((3, 4, 6)))  # type: ignore[arg-type]


def _twisted(recipe: Recipe, rng: random.Random) -> Recipe:
    """With something that is refused."""
    twist = rng.choice(list(LISTED))
    if twist == "part missing":
        return replace(recipe, container="concatenation", syntaxes=(EXPLICIT,), head="whole", twist=twist)
    syntaxes = (EXPLICIT,) if twist == "left-aligned" else (recipe.syntaxes if recipe.container == "classic" else (EXPLICIT,))
    bits = 12 if twist == "left-aligned" else recipe.bits
    changed = replace(recipe, container="classic", syntaxes=syntaxes, bits=bits, slopes=(1.0,), intercepts=(-1024,), signed=False)
    return replace(changed, head="whole", beside=(), twist=twist)


def turned(array: NDArray[np.generic], recipe: Recipe) -> NDArray[np.generic]:
    """An array (z, y, x) of the patient as the planes of the recipe hold it, planes along their normal."""
    stored = array.transpose(recipe.axes)
    return np.ascontiguousarray(stored[tuple(slice(None, None, -1 if flip else 1) for flip in right_handed(recipe))])


def right_handed(recipe: Recipe) -> tuple[bool, bool, bool]:
    """The flips, the first such that planes run along the cross product of their row and column."""
    column, row = (np.eye(3)[2 - recipe.axes[at]] * (-1 if recipe.flips[at] else 1) for at in (1, 2))
    normal = np.cross(row, column)
    return bool(normal.sum() < 0), recipe.flips[1], recipe.flips[2]


def directions(recipe: Recipe) -> NDArray[np.float64]:
    """Unit vectors of the stored axes (plane, column, row) as rows, LPS: x to the Left, y to Posterior, z to Superior."""
    flips = right_handed(recipe)
    return np.array([np.eye(3)[2 - recipe.axes[at]] * (-1 if flips[at] else 1) for at in range(3)])


def spacings(recipe: Recipe) -> tuple[float, ...]:
    """Spacing along the stored axes, mm."""
    return tuple(SPACING_ZYX[axis] for axis in recipe.axes)
