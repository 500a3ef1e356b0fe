"""The runtime of flare-trt: a CT in, labels out. Imports no network library until one is used."""

if __name__ != "flare_trt.engine":
    raise ImportError("import flare_trt.engine, not engine: run 'pip install -e .' in the checkout first")
