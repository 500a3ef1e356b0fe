"""Networks through ONNX Runtime."""
