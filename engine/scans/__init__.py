"""From a file, a DICOM series or an array to a CT on its grid."""
