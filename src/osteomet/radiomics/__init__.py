"""Radiomic features of a region: intensities, shape and texture, of the image and of filtered versions of it."""
