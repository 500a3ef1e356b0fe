"""Trainers that nnunetv2 finds by name (environment variable nnUNet_extTrainer, which training/fit/runs.py sets)."""
