"""Small real models on this machine: what they are, how to get them, and a server for one of them."""
