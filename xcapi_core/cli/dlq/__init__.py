"""`xcapi dlq`: dead letters listed, shown, exported, replayed and discarded."""
