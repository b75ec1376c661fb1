"""Kafka: the topics, the log's readers and its writer."""
