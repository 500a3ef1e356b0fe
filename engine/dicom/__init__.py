"""DICOM in and out: CT series from folders and zips; DICOM-SEG and RTSTRUCT beside them.

pydicom, its decoders and highdicom come with the extra `dicom` and load on first use. Patients' identity stays in the files:
headers are read tag by tag without the patient's, and no message names a file inside a folder or repeats a value of theirs.
"""
