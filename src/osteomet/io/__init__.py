"""Reading and writing: image files, DICOM, studies, data sets, model packages."""
