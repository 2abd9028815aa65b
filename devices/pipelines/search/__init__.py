"""The transient search: image cubes in, significances out. torch and numpy, on a processor or a graphics card."""
