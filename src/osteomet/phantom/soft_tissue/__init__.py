"""What surrounds the bones, from the skin to the cord."""
