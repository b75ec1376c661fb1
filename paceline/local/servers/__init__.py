"""The local Postgres, Redis and Kafka, from Python wheels and Maven jars."""
