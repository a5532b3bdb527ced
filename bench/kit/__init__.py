"""What the benches of speed share: a deployment to measure, figures beside targets, the machine."""
