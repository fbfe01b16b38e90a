"""Google's services as the commands use them: clients, projects and names, and errors as sentences."""
