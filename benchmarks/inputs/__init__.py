"""Scans and networks that benchmarks make for themselves."""
