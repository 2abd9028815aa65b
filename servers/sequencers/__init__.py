"""Device files for sequencers, made from what devices say of themselves: ophyd-async, ophyd, happi, Sardana."""
