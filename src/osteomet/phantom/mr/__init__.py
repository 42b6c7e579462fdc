"""The MR scanner: tissue to signal by the equations of each sequence, with the artefacts of scanners."""
