"""From a trained network to a bundle: nnU-Net v2 folders and bare ONNX files, verified before they are written."""

if __name__ != "flare_trt.export":
    raise ImportError("import flare_trt.export, not export: run 'pip install -e .' in the checkout first")
