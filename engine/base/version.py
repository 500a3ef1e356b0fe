"""The version of flare-trt, as pyproject.toml has it: importlib.metadata, which could tell, takes long to load."""

VERSION = "0.1.0"
