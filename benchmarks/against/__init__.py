"""Two commits side by side: each installed in an environment of its own, run in pairs, told as ratios."""
