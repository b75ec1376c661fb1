"""Kafka: the topics of the log, its readers and its writers."""
