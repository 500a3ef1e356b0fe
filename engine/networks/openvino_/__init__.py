"""Networks through OpenVINO, the default on a CPU."""
