"""Reading and writing: image formats, DICOM series and studies, model packages, output folders."""
