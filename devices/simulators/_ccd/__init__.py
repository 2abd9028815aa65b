"""What all simulated CCD cameras share, whichever controller they have.

``settings`` are their options, ``sky`` is the light, ``light`` the shutter, ``detector`` the CCD with its noise,
``cryostat`` the cold, ``served_camera`` a camera behind a controller server.
"""
