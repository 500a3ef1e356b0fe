"""Reading of DICOM CT series: files, headers, planes."""
