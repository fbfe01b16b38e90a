"""A stand-in for X's Conversions API on loopback: strict where X is, and forthcoming where X is silent."""
