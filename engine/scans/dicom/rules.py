"""Named rules that choose one series of a study. Each is a pure function: of the series that are left, those that it keeps.

A rule is a demand and not a wish: one that keeps nothing is an error, and so is more than one series at the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.facts import SeriesFacts

Candidates = tuple[SeriesFacts, ...]

#: Spacings that differ by less than this are equal: headers are rounded.
_SAME_MM = 0.01
#: Siemens: family letter(s), then sharpness in two digits (B30f, Br40, I31f, Qr36); body kernels of 50 and more are sharp.
_SIEMENS = re.compile(r"(?:B[rfvt]?|I[rf]?|Qr|J|D)(\d\d)")
_SIEMENS_SHARP = 50
#: Canon and Toshiba: FC01 to FC19 are the body's, with and without correction for beam hardening.
_CANON = re.compile(r"FC(\d\d)", re.IGNORECASE)
_CANON_BODY = range(1, 20)
#: GE, Philips, United Imaging and others by their names; Philips has single letters, of which A to C are smooth to standard.
_NAMED = frozenset({"SOFT", "STANDARD", "STND", "STD", "SMOOTH", "A", "B", "C", "SA", "SB", "SC", "B_SOFT_B", "B_SOFT_C"})


def thinnest(candidates: Candidates) -> Candidates:
    """The series with the least distance between slices."""
    placed = [(one.spacing_mm[0], one) for one in candidates if one.spacing_mm is not None]
    least = min((mm for mm, _ in placed), default=0.0)
    return tuple(one for mm, one in placed if mm <= least + _SAME_MM)


def original_axial(candidates: Candidates) -> Candidates:
    """Axial series of the scanner's own reconstruction (ImageType ORIGINAL, PRIMARY): no MPR, no MIP, no subtraction."""
    return tuple(one for one in candidates if one.original and one.orientation == "axial")


def soft_kernel(candidates: Candidates) -> Candidates:
    """Series whose kernel is known to be for soft tissue (`is_soft`)."""
    return tuple(one for one in candidates if one.kernel is not None and is_soft(one.kernel))


def portal_venous(candidates: Candidates) -> Candidates:
    """Series whose description or protocol names the portal-venous phase and no other."""
    return tuple(one for one in candidates if one.phase == "portal-venous")


#: Name -> rule, as `--pick` takes them.
RULES: dict[str, Callable[[Candidates], Candidates]] = {
    "thinnest": thinnest,
    "original-axial": original_axial,
    "soft-kernel": soft_kernel,
    "portal-venous": portal_venous,
}


def is_soft(kernel: str) -> bool:
    """Whether a vendor's kernel is for soft tissue; False for sharp kernels and for names that are not known here.

    >>> [is_soft(name) for name in ("B30f", "Br40d/3", "STANDARD", "FC08", "B", "B70f", "BONEPLUS", "FC52", "YC", "Bl57d")]
    [True, True, True, True, True, False, False, False, False, False]
    """
    name = kernel.split("/")[0].strip()
    if match := _SIEMENS.match(name):
        return int(match[1]) < _SIEMENS_SHARP
    if match := _CANON.match(name):
        return int(match[1]) in _CANON_BODY
    return name.upper() in _NAMED


def parse_rules(text: str) -> tuple[str, ...]:
    """Rules as the command line names them, in order, split at commas. Raises InputError for one that there is not."""
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in RULES]
    if unknown:
        raise InputError(f"--pick: got {unknown[0]!r}, expected one or several of {', '.join(RULES)}, split by commas")
    return names


def pick(facts: Sequence[SeriesFacts], rules: Sequence[str]) -> SeriesFacts:
    """The one series that the rules leave, each applied to what the one before it left.

    Raises InputError, listing the candidates, where a rule keeps none or several are left. A series with a `problem` is no
    candidate.
    """
    left = tuple(one for one in facts if one.problem is None)
    if not left:
        problems = "\n".join(f"  {one.uid or '(no UID)'}: {one.problem}" for one in facts)
        raise InputError(f"got no series that can be segmented, expected one:\n{problems}")
    for name in rules:
        kept = RULES[name](left)
        if not kept:
            raise InputError(f"--pick {name}: keeps none of these series; take another rule, or --series UID:\n{_lines(left)}")
        left = kept
    if len(left) > 1:
        raise InputError(
            f"--pick {','.join(rules)}: leaves {len(left)} series, expected one; add a rule, or choose with --series UID:\n"
            f"{_lines(left)}"
        )
    return left[0]


def _lines(candidates: Candidates) -> str:
    return "\n".join(f"  {one.told}" for one in candidates)
