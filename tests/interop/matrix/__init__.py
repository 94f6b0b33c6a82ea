"""Runs `gateway run` against other implementations of ISAKMP and IPsec, scenario by scenario."""
