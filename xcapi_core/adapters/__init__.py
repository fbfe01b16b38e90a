"""All I/O of the deployed function: X, Secret Manager, Pub/Sub."""
