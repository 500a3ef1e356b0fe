"""nnU-Net trainers of the paper's recipe: partial labels in the first training, and the fine-tuning after it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from flare_trt.export.checkpoint import load_checkpoint
from flare_trt.training.fit.partial_loss import PartialLabelLoss, known_classes
from flare_trt.training.prepare.raw_dataset import VOUCHED_FILE

#: Written whenever the validation loss is the lowest so far: the paper fine-tunes from it (section 3.2).
LOWEST_LOSS = "checkpoint_lowest_loss.pth"


class FlareTrainer(nnUNetTrainer):
    """Dice and cross entropy that know what each case vouches for; no mirroring, since the kidneys and adrenals have sides.

    Cases of a dataset without vouched.json vouch for all classes: then the loss is nnU-Net's own, of regions too.
    FLARE_TRT_EPOCHS and FLARE_TRT_ITERATIONS shorten a run (tests, trials).
    """

    def __init__(self, plans: Any, configuration: str, fold: Any, dataset_json: Any, device: Any) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)  # nnU-Net reads this signature's names
        self.num_epochs = int(os.environ.get("FLARE_TRT_EPOCHS", "1000"))
        self.num_iterations_per_epoch = int(os.environ.get("FLARE_TRT_ITERATIONS", "250"))
        self.num_val_iterations_per_epoch = max(1, self.num_iterations_per_epoch // 5)
        self.save_every = 10
        self._lowest_loss = float("inf")
        self._vouched: dict[str, list[int]] | None = None

    def _build_loss(self) -> PartialLabelLoss:
        return PartialLabelLoss(super()._build_loss())

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple[Any, ...]:  # noqa: N802  # nnU-Net's name
        rotation, dummy_2d, patch, _ = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        self.inference_allowed_mirroring_axes = None
        return rotation, dummy_2d, patch, None

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """One step on a batch; the loss knows what its cases vouch for."""
        self._tell_loss(batch)
        result: dict[str, Any] = super().train_step(batch)
        return result

    def validation_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """One validation batch."""
        self._tell_loss(batch)
        result: dict[str, Any] = super().validation_step(batch)
        return result

    def on_validation_epoch_end(self, val_outputs: list[dict[str, Any]]) -> None:
        """Keep the checkpoint of the lowest validation loss."""
        super().on_validation_epoch_end(val_outputs)
        loss = float(self.logger.get_value("val_losses", step=-1))
        if loss < self._lowest_loss:
            self._lowest_loss = loss
            self.save_checkpoint(str(Path(self.output_folder) / LOWEST_LOSS))

    def save_checkpoint(self, filename: str) -> None:
        """As nnU-Net's, but a checkpoint appears whole or not at all."""
        partial = f"{filename}.partial"
        super().save_checkpoint(partial)
        if Path(partial).exists():
            Path(partial).replace(filename)

    def load_checkpoint(self, filename_or_checkpoint: Any) -> None:
        """As nnU-Net's; the lowest loss so far is read back from the log, so a resumed run does not forget it."""
        super().load_checkpoint(filename_or_checkpoint)
        losses = self.logger.get_checkpoint().get("val_losses", [])
        self._lowest_loss = min(losses, default=float("inf"))

    def _tell_loss(self, batch: dict[str, Any]) -> None:
        if self._vouched is None:
            file = Path(self.preprocessed_dataset_folder_base) / VOUCHED_FILE
            self._vouched = json.loads(file.read_text("utf-8")) if file.exists() else {}
        if not self._vouched:
            return
        vouched = [self._vouched[str(key)] for key in batch["keys"]]
        self.loss.known = known_classes(vouched, self.label_manager.num_segmentation_heads)


class Unaugmented(nnUNetTrainer):
    """Patches as they are: no larger ones to rotate, nothing random but their place."""

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple[Any, ...]:  # noqa: N802  # nnU-Net's name
        rotation, dummy_2d, _, mirror = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        return rotation, dummy_2d, self.configuration_manager.patch_size, mirror

    @staticmethod
    def get_training_transforms(*args: Any, **kwargs: Any) -> Any:
        """The validation transforms: nothing random."""
        names = ("is_cascaded", "foreground_labels", "regions", "ignore_label")
        scales = args[2] if len(args) > 2 else kwargs["deep_supervision_scales"]
        return nnUNetTrainer.get_validation_transforms(scales, **{name: kwargs.get(name) for name in names})


class FlareFinetuneTrainer(Unaugmented, FlareTrainer):
    """Fine-tuning on all pseudo-labels: learning rate 1e-4 and no augmentation (paper, section 3.2).

    FLARE_TRT_START names the checkpoint whose weights it starts from, all layers of them.
    """

    def __init__(self, plans: Any, configuration: str, fold: Any, dataset_json: Any, device: Any) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.initial_lr = 1e-4
        self.num_epochs = int(os.environ.get("FLARE_TRT_EPOCHS", "100"))

    def initialize(self) -> None:
        """Build everything, then take the weights of the first training."""
        super().initialize()
        start = os.environ.get("FLARE_TRT_START")
        if start:
            weights = load_checkpoint(Path(start)).weights  # torch.load would run whatever code the file holds
            network = self.network.module if self.is_ddp else self.network
            getattr(network, "_orig_mod", network).load_state_dict(weights)
