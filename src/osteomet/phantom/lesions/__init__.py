"""What changes bone: metastases, and the mimics that look like them, metal among them."""
