"""Labelled synthetic studies: parametric anatomy, metastases and mimics, imaged by simulated scanners."""
