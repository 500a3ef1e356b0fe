"""Data preparation, pseudo-labels and training on top of nnunetv2, and the recipe of the default weights."""

if __name__ != "flare_trt.training":
    raise ImportError("import flare_trt.training, not training: run 'pip install -e .' in the checkout first")
