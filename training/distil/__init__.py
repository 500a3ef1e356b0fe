"""Distillation of the default weights: a teacher network's soft labels on augmented CTs and phantoms teach two small students."""
