"""The soak: many events, everything that can go wrong meanwhile, and an account at the end that must balance."""
