"""What a scan takes of a GPU's memory and time, by rehearsing the CUDA kernels without one."""
