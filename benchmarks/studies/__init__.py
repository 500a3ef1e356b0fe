"""Questions that are answered by measuring many runs: the cascade, tricks, scaling, budgets, endurance, load."""
