"""Networks of one's own: taken apart, cut and followed in a notebook, or by the command `lesion`."""
