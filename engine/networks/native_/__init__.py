"""Networks through kernels of our own, for those of depthwise-separable convolutions."""
