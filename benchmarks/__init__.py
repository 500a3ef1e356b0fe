"""What FLARE ranks, measured: DSC, NSD, running time and the memory-time area, ours and the peers'."""

if __name__ != "flare_trt.benchmarks":
    raise ImportError("import flare_trt.benchmarks, not benchmarks: run 'pip install -e .' in the checkout first")
