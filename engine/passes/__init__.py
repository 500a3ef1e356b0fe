"""One network over one box of a scan: view, tiles, plan, memory, logits, labels."""
