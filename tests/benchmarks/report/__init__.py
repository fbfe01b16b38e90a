"""What a run leaves: the table on the terminal, the JSON, the page with its plots."""
