"""The DaqData service: frames of PANOSETI modules over gRPC, for the clients of the PANOSETI project."""
