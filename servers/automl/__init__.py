"""The loop detector as an AutoML object detection service, for DHSs that expect one."""
