"""Kinds of residual block: each file here is one, its name the value of `block` in the config, its class `BLOCK`."""
