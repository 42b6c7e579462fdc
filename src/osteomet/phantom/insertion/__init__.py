"""Metastases put into real scans."""
