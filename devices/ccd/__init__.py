"""CCD cameras: exposures, controllers, and the tools of an observatory around them."""
