"""Networks through TensorRT on an NVIDIA GPU."""
