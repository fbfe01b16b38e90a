"""The sandbox X Conversions API: X as its reference has it."""
