"""The CPU device: C++17 with OpenMP, built by setup.py."""
