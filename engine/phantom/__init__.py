"""A synthetic body with organs, for demos and tests."""
