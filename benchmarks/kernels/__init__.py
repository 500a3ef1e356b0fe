"""The kernels and networks against what the machine can do."""
