"""Many instances, many pixels, many ad accounts: what several of the function do together."""
