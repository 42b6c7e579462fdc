"""Published studies from data to their tables: split, prepare, train, predict, evaluate, report."""
