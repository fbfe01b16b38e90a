"""`xcapi validate`: what each event of a file would become, before anything is sent."""
