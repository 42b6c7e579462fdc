"""Networks and losses, each a small module that cites its source."""
