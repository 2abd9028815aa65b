"""Property tests have no deadline: two busy cores say nothing about a property."""

from hypothesis import settings

settings.register_profile("diptych", deadline=None)
settings.load_profile("diptych")
