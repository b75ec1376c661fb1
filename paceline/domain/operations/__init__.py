"""What is wrong with the running platform, from what can be observed."""
