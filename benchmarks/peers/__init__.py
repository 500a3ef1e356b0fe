"""Other programs on the same CT with the same weights."""
