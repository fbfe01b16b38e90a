"""One delivery from start to ack or nack."""
