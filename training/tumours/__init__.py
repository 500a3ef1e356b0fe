"""Synthetic tumours in real CTs: what is planted, what only looks like a tumour, and the network that learns to tell them apart."""
