"""The limit and the peers: each file here runs in an environment of its own and knows nothing of Firstline."""
