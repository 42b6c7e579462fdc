"""The bones of a patient: column, pelvis, femora and thorax, drawn from morphometry or taken from label maps."""
