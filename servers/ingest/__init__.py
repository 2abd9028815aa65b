"""The image ingest: correlator nodes put sub-bands over HTTP/1.1, as they always did."""
