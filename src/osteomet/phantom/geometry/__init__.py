"""Shapes, bending and noise as functions of space, cut by any grid."""
