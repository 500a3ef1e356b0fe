"""Writes the images that a sender delivers to a study's folder. They are on the disk before the sender gets its answer."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

from flare_trt.engine.apps.pacs.anonymous import hashed_uid
from flare_trt.engine.apps.pacs.study_queue import Study, StudyQueue
from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.files import atomic_file, sync_folder
from flare_trt.engine.base.units import MB

_LOG = logging.getLogger(__name__)


class Delivery:
    """What one sender delivers at a time: an association, or a study that is fetched. Used by one thread; `end` it in any case."""

    def __init__(self, queue: StudyQueue, source: str, least_free_mb: int) -> None:
        self._queue, self._source, self._least_free_mb = queue, source, least_free_mb
        self._began_s = time.time()
        self._studies: dict[str, Study] = {}
        self._images: dict[str, int] = {}
        self._lost: set[str] = set()

    def store(self, study_uid: str, sop_uid: str, image: bytes) -> None:
        """Keep one DICOM file; on return it is on the disk, and so is its study in the queue. Raises OutputError."""
        study_hash = hashed_uid(study_uid)
        try:
            self._require_room()
            study = self._studies.get(study_hash) or self._begin(study_hash)
            with atomic_file(study.images / f"{hashed_uid(sop_uid)}.dcm") as file:
                file.write(image)
            sync_folder(study.images)
        except (OutputError, OSError) as error:
            if study_hash not in self._lost:
                _LOG.warning("an image from %s was not kept: %s", self._source, _without_folder(error, self._queue.folder))
            self._lost.add(study_hash)
            raise OutputError("the image was not kept") from error
        self._images[study_hash] += 1

    def end(self, whole: bool) -> None:
        """The delivery is over; `whole`: the sender released the association, it did not break off. Raises OutputError."""
        for study_hash, study in self._studies.items():
            kept = whole and study_hash not in self._lost
            self._queue.end_delivery(study.job, kept, self._began_s)
            how = "" if kept else ", broken off"
            _LOG.info("job %d: %d images from %s%s", study.job, self._images[study_hash], self._source, how)

    def _begin(self, study_hash: str) -> Study:
        study = self._queue.begin_delivery(study_hash, self._source)
        self._studies[study_hash], self._images[study_hash] = study, 0
        study.images.mkdir(parents=True, exist_ok=True)
        for folder in (study.folder.parent, study.folder):
            sync_folder(folder)
        return study

    def _require_room(self) -> None:
        free_mb = shutil.disk_usage(self._queue.folder).free // MB
        if free_mb < self._least_free_mb:
            raise OutputError(f"got {free_mb} MB of free space, expected {self._least_free_mb} (--min-free); free space")


def image_count(study: Study) -> int:
    """How many images of a study lie on the disk."""
    return sum(1 for _ in study.images.glob("[!.]*.dcm"))


def _without_folder(error: BaseException, folder: Path) -> str:
    return str(error).replace(f"{folder}/", "")
