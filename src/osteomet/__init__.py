"""osteomet: bone metastases of the spine and pelvis on CT and MRI, from a study to findings.

Research software, not a medical device. A person decides.
"""

__version__ = "0.1.0"
