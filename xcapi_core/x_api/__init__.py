"""Conversions → X → outcomes: batches, budget, signature, and which conversion X refused."""
