"""Pseudo-labels: a teacher fills what the experts left open, doubtful voxels are ignored, and gates keep bad cases out."""
