"""Training of the coarse and fine networks by nnunetv2: plans, the partial-label loss, trainers and runs."""
