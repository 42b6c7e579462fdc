"""Running model packages: engines, sliding windows, bones and their names, and the cascade from image to lesions."""
