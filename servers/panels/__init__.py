"""Operator panels (.bob files): what they may contain, how they are written and checked."""
