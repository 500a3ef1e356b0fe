"""Trainers of the `_mini` networks, which have a few hundred steps to find organs (`flare-trt train reproduce`)."""

from __future__ import annotations

from typing import Any

import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from flare_trt.training.fit.miniature_loss import MiniatureLoss
from flare_trt.training.fit.partial_loss import PartialLabelLoss
from flare_trt.training.fit.trainers.flare_trainers import FlareFinetuneTrainer, FlareTrainer, Unaugmented


class _Miniature(Unaugmented, nnUNetTrainer):
    """AdamW, its own loss, full resolution alone, half of the patches at random places. Why: training/LOG.md."""

    def __init__(self, plans: Any, configuration: str, fold: Any, dataset_json: Any, device: Any) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.enable_deep_supervision, self.oversample_foreground_percent = False, 0.5

    def configure_optimizers(self) -> tuple[Any, Any]:
        """SGD finds nothing but background in so few steps."""
        optimizer = torch.optim.AdamW(self.network.parameters(), self.initial_lr, weight_decay=self.weight_decay)
        return optimizer, PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs)

    def _build_loss(self) -> PartialLabelLoss:
        return PartialLabelLoss(MiniatureLoss(self.label_manager.ignore_label))

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Not done: the reproduction scores its bundles on scans that were held out."""


class FlareMiniTrainer(_Miniature, FlareTrainer):
    """The first training of a `_mini` network."""


class FlareMiniFinetuneTrainer(_Miniature, FlareFinetuneTrainer):
    """The fine-tuning of one."""
