"""Drive nnU-Net v2 itself, an optional extra, in a process of its own."""
