"""Crystal loops in camera pictures: where the tip is, how large the loop is, and how it faces the camera."""
