"""`xcapi tags`: the account's event tags, as the configuration wants them."""
