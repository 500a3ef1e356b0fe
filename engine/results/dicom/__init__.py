"""Writing of DICOM-SEG and RTSTRUCT."""
