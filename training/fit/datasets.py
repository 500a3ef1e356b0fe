"""Which raw datasets an id means: the pair that `prepare` wrote, or one dataset of nnU-Net's for both networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flare_trt.engine.base.errors import InputError
from flare_trt.training.prepare.raw_dataset import VOUCHED_FILE, DatasetNames


@dataclass(frozen=True)
class OneDataset:
    """An nnU-Net dataset by its id and its folder's name; both networks learn from it."""

    dataset_id: int
    name: str

    @property
    def fine(self) -> str:
        """What the fine network learns from."""
        return self.name

    @property
    def coarse(self) -> str:
        """What the coarse network learns from."""
        return self.name


def find_datasets(dataset_id: int, raw: Path, preprocessed: Path) -> DatasetNames | OneDataset:
    """The datasets of an id. Raises InputError where there is none, more than one, or only the coarse half of a pair."""
    places, beginning = (raw, preprocessed), f"Dataset{dataset_id:03d}_"
    found = sorted({folder.name for place in places for folder in place.glob(f"{beginning}*") if folder.is_dir()})
    if not found:
        raise InputError(
            f"--dataset-id {dataset_id}: found no {beginning}NAME in {raw}; expected a raw dataset of nnU-Net's, "
            "or run 'flare-trt train prepare' or 'pseudo-label' first"
        )
    if len(found) > 1:
        raise InputError(f"--dataset-id {dataset_id}: got {' and '.join(found)}, expected one name for an id; rename one of them")
    pair = DatasetNames(dataset_id)
    if found[0] == pair.fine:
        return pair
    if any((place / found[0] / VOUCHED_FILE).exists() for place in places):
        raise InputError(f"--dataset-id {dataset_id}: got {found[0]}, the coarse half of a pair; give the id of the fine dataset")
    return OneDataset(dataset_id, found[0])
