"""The CT scanner: tissue to HU, beam, reconstruction, noise and metal."""
