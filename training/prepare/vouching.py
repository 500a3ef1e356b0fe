"""What a label map can be trusted to say: the classes that its annotators looked for.

FLARE's training cases come from many sources, most of which annotated a few organs. A class that is absent from a label map
is then not absent from the patient (paper, section 3.2).
"""

from __future__ import annotations

from collections.abc import Collection

from flare_trt.engine.base.organs import ORGANS, TUMOUR

#: A case that shows so many of the 13 organs was annotated for all of them; what is missing is removed or out of the field.
COMPLETE_FROM = 11


def vouched_classes(present: Collection[int]) -> tuple[int, ...]:
    """Classes whose absence means absence, given those that occur: the present ones, or all organs of a complete case.

    Tumour is vouched for only where it occurs: an organ data set says nothing about tumours.
    """
    shown = {label for label in present if label in ORGANS}
    organs = set(ORGANS) if len(shown) >= COMPLETE_FROM else shown
    tumour = {TUMOUR} if TUMOUR in present else set()
    return tuple(sorted(organs | tumour))
