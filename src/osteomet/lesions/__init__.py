"""From probabilities to described lesions and levels: find, split, measure, place, type, and score stability."""
