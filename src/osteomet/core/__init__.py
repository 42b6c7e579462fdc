"""The few types that carry everything: errors, grids, volumes, label maps, vocabulary, lesions, findings."""
