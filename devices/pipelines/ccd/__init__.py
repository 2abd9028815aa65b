"""CCD images: from the words of a controller to amplifiers, sections and sky coordinates."""
