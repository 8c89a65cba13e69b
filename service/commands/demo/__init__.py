"""`energy demo`: the service with a simulated fleet and its last two weeks."""
