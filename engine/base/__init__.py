"""What every room stands on: errors, grids, boxes, volumes, organs, files. NumPy and the kernels only."""
